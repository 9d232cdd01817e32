package io.spd4j.bench.contest;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/**
 * An implementation of an optimizer's step that is compared with others, alone in its process. Used
 * by one thread: first {@link #identity}, then any number of times {@link #setup}, {@link #step}s
 * and {@link #close}.
 */
public interface Contestant extends AutoCloseable {
  /**
   * What a contestant is.
   *
   * @param name as in tables
   * @param version of the libraries that do the work
   * @param rules that it knows
   * @param only names and values of {@link Setup} where it can do no other value
   */
  record Identity(String name, String version, List<Rule> rules, Map<String, ?> only) {
    public Identity {
      only = only == null ? Map.of() : only;
    }
  }

  /**
   * Says what it is, once it has loaded the libraries that it needs.
   *
   * @throws LinkageError if it cannot
   */
  Identity identity();

  /**
   * Allocates the arrays and makes everything ready but the arrays' values.
   *
   * @param setup with a rule that it knows
   * @throws Failure if it cannot do this, in one sentence
   */
  void setup(Setup setup) throws Failure;

  /** The floats of an array, which may be read and written between steps until {@link #close}. */
  MemorySegment array(ArrayKind kind, int tensor);

  /** Sets all elements of an array. */
  default void fill(ArrayKind kind, int tensor, Values values) {
    values.fill(kind, tensor, 0, array(kind, tensor));
  }

  /** Puts back what a step uses up; this is not timed. */
  default void beforeStep() {}

  /** One step of the optimizer over all tensors. */
  void step();

  /** Frees what was set up, if anything was. */
  @Override
  void close();
}
