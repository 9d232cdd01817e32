package io.spd4j.finetune.data;

/**
 * A mail without its headers.
 *
 * @param collection the collection it comes from, which determines its label
 * @param name its file name, unique within the collection
 * @param text the text that a reader sees, on one line
 */
public record Mail(MailCollection collection, String name, String text) {
  /** 1 for spam, 0 for ham. */
  public int label() {
    return collection.spam() ? 1 : 0;
  }
}
