package io.spd4j;

/**
 * What Selective Projection Decay (SPD) did in its last step of a parameter, and so far.
 *
 * @param name the parameter's name
 * @param step the parameter's step count after that step; 1 after its first step
 * @param condition c = −Σ g·(θ−θ0), before the update; g as the step used it, scaled and clipped
 * @param ratio r, in [0, 1]: the share of the deviation that the update added
 * @param deviationBefore ‖θ−θ0‖ before the step
 * @param deviationAfter ‖θ'−θ0‖ after the step and the projection
 * @param selected whether c was below 0; the parameter was projected if λ·r was also above 0
 * @param checked the number of steps so far in which SPD checked the parameter
 * @param selections the number of steps so far in which SPD selected the parameter
 * @param meanRatio the mean of r over the selections; 0 if there were none
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
