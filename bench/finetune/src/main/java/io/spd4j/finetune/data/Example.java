package io.spd4j.finetune.data;

/**
 * A mail as input of the network.
 *
 * @param tokens token ids, {@code [CLS] ... [SEP]}, not padded
 * @param label 1 for spam, 0 for ham
 */
public record Example(int[] tokens, int label) {}
