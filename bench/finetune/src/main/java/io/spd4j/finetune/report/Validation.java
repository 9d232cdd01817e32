package io.spd4j.finetune.report;

/**
 * How a model did on the validation set, by which λ and the learning rate are chosen.
 *
 * @param score the correctly classified examples
 * @param loss the mean cross-entropy; NaN if the model gives no finite numbers
 */
public record Validation(Score score, double loss) {}
