package io.spd4j.onednn;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * The Flight Recorder event for a run of an operation. Each primitive commits one event object
 * again and again, so nothing is allocated. Without a recording the methods are empty.
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
  @Description("Which of oneDNN's implementations ran")
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
