package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.MailTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Where texts for a fine-tuned model are cut. */
final class LengthOption {
  @Option(
      names = "--length",
      description = "Largest number of tokens of a text, 2 to 512; default: as in training.")
  private Integer length;

  /**
   * Returns the largest number of tokens.
   *
   * @param model a weights file, which may say what it was in training
   * @throws Failure if the number is out of range, or neither the option nor the file says it
   */
  int tokens(Path model) throws Failure, IOException {
    int tokens = length != null ? length : SavedModel.length(model);
    if (tokens < 2 || tokens > MailTokenizer.MAX_TOKENS) {
      throw Failure.ofInput("--length must be 2 to " + MailTokenizer.MAX_TOKENS);
    }
    return tokens;
  }
}
