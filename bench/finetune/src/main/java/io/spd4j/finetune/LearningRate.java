package io.spd4j.finetune;

import io.spd4j.finetune.TrainingOptions.Schedule;

/**
 * Linear warm-up, then constant or linearly down to 0 behind the last step.
 *
 * @param steps of the run
 * @param warmup steps in which the rate rises; in the last of them it is whole
 */
record LearningRate(int steps, int warmup, Schedule schedule) {
  static LearningRate of(TrainingOptions options) {
    int warmup = (int) Math.round(options.steps * options.warmup);
    return new LearningRate(options.steps, warmup, options.schedule);
  }

  /** What the learning rate is multiplied by in a step, 1 for the first. */
  double factor(int step) {
    if (step <= warmup) {
      return (double) step / warmup;
    }
    return schedule == Schedule.CONSTANT ? 1 : (double) (steps - step + 1) / (steps - warmup);
  }
}
