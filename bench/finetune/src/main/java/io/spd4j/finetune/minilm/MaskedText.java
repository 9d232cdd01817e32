package io.spd4j.finetune.minilm;

/**
 * A batch some of whose tokens are hidden, and what they were.
 *
 * @param rows the rows of the hidden tokens in the batch, all different
 * @param targets the token of each of these rows
 */
public record MaskedText(Batch batch, int[] rows, int[] targets) {}
