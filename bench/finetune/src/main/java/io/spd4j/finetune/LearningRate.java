package io.spd4j.finetune;

import io.spd4j.finetune.TrainingOptions.Schedule;

/**
 * Linear warm-up, then constant or linear decay to 0 just after the last step.
 *
 * @param steps the number of steps
 * @param warmup number of steps in which the rate rises; it is complete in the last of them
 */
record LearningRate(int steps, int warmup, Schedule schedule) {
  static LearningRate of(TrainingOptions options, int steps) {
    int warmup = (int) Math.round(steps * options.warmup);
    return new LearningRate(steps, warmup, options.schedule);
  }

  /** Returns the factor of the learning rate in a step, counted from 1. */
  double factor(int step) {
    if (step <= warmup) {
      return (double) step / warmup;
    }
    return schedule == Schedule.CONSTANT ? 1 : (double) (steps - step + 1) / (steps - warmup);
  }
}
