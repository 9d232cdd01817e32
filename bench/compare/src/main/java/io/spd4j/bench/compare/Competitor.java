package io.spd4j.bench.compare;

import java.util.List;

/**
 * Something that takes steps in a process of its own and can be compared with others.
 *
 * @param name as in tables
 * @param kind what it is compared for
 * @param yardstick whether it steps AdamW where it does not know the rule
 * @param command starts it
 */
record Competitor(String name, Kind kind, boolean yardstick, List<String> command) {
  /** What it is compared for. */
  enum Kind {
    /** Our own: all are to have the same bits. */
    OURS,
    /** How fast this machine moves as much memory; no step of an optimizer. */
    LIMIT,
    /** A step written by hand, without a library. */
    PLAIN,
    /** Another library; for one number of threads alone, since some of them compile for it. */
    PEER
  }
}
