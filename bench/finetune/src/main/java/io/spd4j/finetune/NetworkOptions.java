package io.spd4j.finetune;

import io.spd4j.Backend;
import io.spd4j.finetune.cli.Count;
import picocli.CommandLine.Option;

/** The size of a batch, and what computes it. */
class NetworkOptions {
  @Option(
      names = "--batch",
      defaultValue = "16",
      converter = Count.class,
      description = "Texts per step; default: ${DEFAULT-VALUE}.")
  int batch;

  @Option(
      names = "--length",
      defaultValue = "64",
      converter = Count.class,
      description = "Largest number of tokens of a text, 2 to 512; default: ${DEFAULT-VALUE}.")
  int length;

  @Option(
      names = "--backend",
      description = "native, vector or scalar; default: the first that is available.")
  Backend backend;

  @Option(
      names = "--threads",
      converter = Count.class,
      description = "Default: the number of processors.")
  int threads = Runtime.getRuntime().availableProcessors();
}
