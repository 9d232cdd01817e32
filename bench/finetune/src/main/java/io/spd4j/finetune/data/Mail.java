package io.spd4j.finetune.data;

/**
 * A mail without its headers.
 *
 * @param collection where it comes from, which is what tells its label
 * @param name its file's name, unique within the collection
 * @param text what its reader sees, on one line
 */
public record Mail(MailCollection collection, String name, String text) {
  /** 1 for spam, 0 for ham. */
  public int label() {
    return collection.spam() ? 1 : 0;
  }
}
