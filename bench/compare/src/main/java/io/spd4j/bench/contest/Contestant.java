package io.spd4j.bench.contest;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/**
 * An implementation of an optimizer's step that is compared with others, alone in its process. One
 * thread calls {@link #identity} first and then, any number of times, {@link #setup}, {@link #step}
 * repeatedly, and {@link #close}.
 */
public interface Contestant extends AutoCloseable {
  /**
   * Describes a contestant.
   *
   * @param name the name in tables
   * @param version the versions of the libraries that do the work
   * @param rules the rules it implements
   * @param only the only supported values of some fields of {@link Setup}, by name; null becomes
   *     empty
   */
  record Identity(String name, String version, List<Rule> rules, Map<String, ?> only) {
    public Identity {
      only = only == null ? Map.of() : only;
    }
  }

  /**
   * Loads the libraries that it needs and describes itself.
   *
   * @throws LinkageError if it cannot load them
   */
  Identity identity();

  /**
   * Allocates the arrays and prepares everything except the arrays' values.
   *
   * @param setup names a rule that it implements
   * @throws Failure if it cannot do this; the message says why in one sentence
   */
  void setup(Setup setup) throws Failure;

  /**
   * Returns the memory of an array, which may be read and written between steps until {@link
   * #close}: floats, unless the set-up has another state.
   */
  MemorySegment array(ArrayKind kind, int tensor);

  /** Sets all elements of an array. */
  default void fill(ArrayKind kind, int tensor, Values values) {
    values.fill(kind, tensor, Storage.FLOAT32, array(kind, tensor));
  }

  /** Returns elements of an array after the steps so far. */
  default float[] values(ArrayKind kind, int tensor, long from, int count) {
    MemorySegment floats = array(kind, tensor);
    return Storage.FLOAT32.read(floats, floats.byteSize() / Float.BYTES, from, count);
  }

  /** Restores what a step consumes; not timed. */
  default void beforeStep() {}

  /** Takes one optimizer step over all tensors. */
  void step();

  /** Frees what was set up, if anything was. */
  @Override
  void close();
}
