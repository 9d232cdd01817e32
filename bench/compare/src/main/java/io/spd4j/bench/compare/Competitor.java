package io.spd4j.bench.compare;

import io.spd4j.finetune.cli.State;
import java.util.List;

/**
 * A program that takes steps in its own process and can be compared with others.
 *
 * @param name the name in tables
 * @param kind why it is compared
 * @param yardstick whether it steps AdamW if it does not know the rule or the state
 * @param state how it stores arrays; ours store them as a case says
 * @param command the command that starts it
 */
record Competitor(String name, Kind kind, boolean yardstick, State state, List<String> command) {
  /** A competitor whose arrays are float32. */
  Competitor(String name, Kind kind, boolean yardstick, List<String> command) {
    this(name, kind, yardstick, State.FLOAT32, command);
  }

  /** Why a competitor is compared. */
  enum Kind {
    /** Our own backends, which must all give the same bits. */
    OURS,
    /** A limit of the machine: moves the same amount of memory, without an optimizer step. */
    LIMIT,
    /** A hand-written step, without a library. */
    PLAIN,
    /**
     * Another library. Takes part with one number of threads only, because some libraries compile
     * for it.
     */
    PEER
  }
}
