package io.spd4j;

import io.spd4j.kernel.LastStep;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * The Flight Recorder event for a step. Each optimizer commits one event object again and again, so
 * nothing is allocated. Without a recording the methods are empty.
 */
@Name("io.spd4j.Step")
@Label("Optimizer Step")
@Description("A step of all parameters or of one. On CUDA, the duration is that of enqueueing it")
@Category("spd4j")
@StackTrace(false)
final class StepEvent extends Event {
  @Label("Backend")
  private final String backend;

  @Label("Tensors")
  @Description("Parameters with a gradient whose group is not frozen")
  private int tensors;

  @Label("Elements")
  @Description("Elements of these parameters")
  private long elements;

  @Label("Threads")
  @Description("CPU threads that had work; 0 on CUDA")
  private int threads;

  @Label("Selected")
  @Description("Parameters that SPD selected, of those that it checked; -1 on CUDA")
  private int selected;

  @Label("Gradient Norm")
  @Description("Before clipping; NaN if the step does not clip, or does not wait for CUDA's norm")
  private double norm;

  @Label("Skipped")
  @Description(
      "Whether gradients were not finite or too large, so nothing changed; CUDA's clipAndStep: false")
  private boolean skipped;

  StepEvent(String backend) {
    this.backend = backend;
  }

  void fill(LastStep last) {
    tensors = last.tensors;
    elements = last.elements;
    threads = last.threads;
    selected = last.selected;
    norm = last.norm;
    skipped = last.skipped;
  }
}
