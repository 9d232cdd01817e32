package io.spd4j;

/**
 * What Selective Projection Decay did with a parameter in its last step, and so far.
 *
 * @param name the parameter's name
 * @param step the parameter's step count at that step, 1 for its first
 * @param condition c = −Σ g·(θ−θ0), before the update; g as the step read it, scaled and clipped
 * @param ratio r, in [0, 1]: the part of the deviation that the update added
 * @param deviationBefore ‖θ−θ0‖ before the step
 * @param deviationAfter ‖θ'−θ0‖ after the step and the projection
 * @param selected whether c was below 0; the parameter was projected if λ·r was above 0, too
 * @param checked steps in which SPD looked at the parameter
 * @param selections steps in which it selected it
 * @param meanRatio the mean of r over the selections; 0 without any
 */
public record SpdReport(
    String name,
    long step,
    double condition,
    double ratio,
    double deviationBefore,
    double deviationAfter,
    boolean selected,
    long checked,
    long selections,
    double meanRatio) {}
