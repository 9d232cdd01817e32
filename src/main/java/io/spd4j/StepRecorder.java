package io.spd4j;

import io.spd4j.kernel.Stepper;
import io.spd4j.nativelib.FlightRecorder;
import java.util.List;

/** Records an optimizer's steps with Flight Recorder, if this JVM has it. */
final class StepRecorder {
  /** Both are null if event classes cannot be loaded. */
  private final StepEvent step;

  private final SpdSelectionEvent selection;

  StepRecorder(Backend backend) {
    boolean available = FlightRecorder.available();
    step = available ? new StepEvent(backend.id()) : null;
    selection = available ? new SpdSelectionEvent() : null;
  }

  /** Begins to measure a step. */
  void begin() {
    if (step != null) {
      step.begin();
    }
  }

  /**
   * Records the step that has just been taken, if somebody records.
   *
   * @param parameters by the stepper's index
   */
  void end(Stepper stepper, List<Parameter> parameters) {
    if (step == null) {
      return;
    }
    step.end();
    if (step.shouldCommit()) {
      step.fill(stepper.lastStep());
      step.commit();
    }
    if (selection.isEnabled()) {
      recordSelections(stepper, parameters);
    }
  }

  private void recordSelections(Stepper stepper, List<Parameter> parameters) {
    for (int i = 0; i < parameters.size(); i++) {
      if (stepper.decidedInLastStep(i)) {
        selection.fill(parameters.get(i).name(), stepper.decision(i));
        selection.commit();
      }
    }
  }
}
