package io.spd4j;

import io.spd4j.kernel.SpdDecision;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * The Flight Recorder event for SPD's decision on a parameter in a step, as in {@link SpdReport}.
 */
@Name("io.spd4j.SpdSelection")
@Label("SPD Selection")
@Description("What SPD decided about a parameter in a step; not recorded on CUDA")
@Category("spd4j")
@Enabled(false)
@StackTrace(false)
final class SpdSelectionEvent extends Event {
  @Label("Parameter")
  private String parameter;

  @Label("Step")
  @Description("The parameter's step count after the step")
  private long step;

  @Label("Condition")
  @Description("c: SPD selects the parameter if this is below 0")
  private double condition;

  @Label("Selected")
  private boolean selected;

  @Label("Ratio")
  @Description("r: the share of the deviation that this update added")
  private double ratio;

  @Label("Deviation Before")
  @Description("Distance from the anchor before the step")
  private double deviationBefore;

  @Label("Deviation After")
  @Description("Distance from the anchor after the step")
  private double deviationAfter;

  void fill(String parameter, SpdDecision decision) {
    this.parameter = parameter;
    step = decision.step();
    condition = decision.condition();
    selected = decision.selected();
    ratio = decision.ratio();
    deviationBefore = decision.deviationBefore();
    deviationAfter = decision.deviationAfter();
  }
}
