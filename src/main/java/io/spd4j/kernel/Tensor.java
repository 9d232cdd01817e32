package io.spd4j.kernel;

/**
 * A parameter tensor as a {@link Stepper} is given it.
 *
 * @param group the index of its group's {@link GroupSettings}
 * @param step the steps it has taken before
 */
public record Tensor(TensorArrays arrays, int group, long step) {}
