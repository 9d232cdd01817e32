package io.spd4j.finetune;

import io.spd4j.Backend;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.Encoder;
import io.spd4j.onednn.MathMode;
import io.spd4j.onednn.OneDnn;
import java.util.Locale;
import picocli.CommandLine.Option;

/** The size of a batch, and what computes it. */
class NetworkOptions {
  /** The library's largest number of threads. */
  private static final int MAX_THREADS = 1024;

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

  @Option(
      names = "--math",
      defaultValue = "FLOAT32",
      description =
          "How matrices are multiplied: float32, bf16, or auto, which is bf16 if the processor has "
              + "instructions for it; default: float32.")
  MathMode math;

  /**
   * Checks what picocli cannot.
   *
   * @throws Failure if an option is out of range, or something that the run needs is missing
   */
  void check() throws Failure {
    require(threads <= MAX_THREADS, "--threads must be 1 to " + MAX_THREADS);
    OneDnn.Availability dnn = OneDnn.availability();
    require(dnn.available(), dnn.reason());
    require(
        backend != Backend.CUDA,
        "--backend cuda: the network lies in host memory, which native, vector and scalar step");
    for (Backend.Availability a : Backend.availability()) {
      require(
          a.backend() != backend || a.available(),
          "--backend " + a.backend().id() + ": " + a.reason());
    }
  }

  /**
   * Checks that oneDNN can handle the arrays of a batch.
   *
   * @throws Failure if the batch is too large
   */
  void checkBatch(Config config) throws Failure {
    long longest = config.longestVector(batch, Tokens.padded(length), Encoder.operands(math));
    require(
        longest <= Integer.MAX_VALUE,
        "--batch %d of --length %d has an array of %d elements; oneDNN handles %d at most"
            .formatted(batch, length, longest, Integer.MAX_VALUE));
  }

  /** Opens oneDNN for the calling thread. */
  OneDnn openOneDnn() {
    return OneDnn.builder().threads(threads).math(math).open();
  }

  /** Returns the name of what multiplies matrices: float32 or bf16. */
  String mathName() {
    MathMode used = math == MathMode.AUTO ? OneDnn.autoMath().mode() : math;
    return used.name().toLowerCase(Locale.ROOT);
  }

  static void require(boolean holds, String otherwise) throws Failure {
    if (!holds) {
      throw Failure.ofInput(otherwise);
    }
  }
}
