package io.spd4j.onednn;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * A run of an operation as Flight Recorder sees it. Each primitive keeps one and commits it again
 * and again: nothing is allocated, and without a recording its methods are empty.
 */
@Name("io.spd4j.onednn.Operation")
@Label("oneDNN Operation")
@Category({"spd4j", "oneDNN"})
@StackTrace(false)
final class OperationEvent extends Event {
  @Label("Operation")
  @Description("What was computed, and the shapes")
  private final String operation;

  @Label("Implementation")
  @Description("The one of oneDNN's that ran")
  private final String implementation;

  @Label("Floating-Point Operations")
  @Description("Multiplications and additions of a matrix product; 0 for anything else")
  private final long flops;

  OperationEvent(String operation, String implementation, long flops) {
    this.operation = operation;
    this.implementation = implementation;
    this.flops = flops;
  }
}
