package io.spd4j.finetune.report;

import java.util.Map;

/**
 * A model between the one that training began with and the one that it ended with (WiSE-FT,
 * Wortsman et al., CVPR 2022).
 *
 * @param alpha the share of the fine-tuned weights, 0 to 1
 * @param scores by test set
 * @param deviation ‖θ−θ0‖ over all pre-trained parameters
 */
public record Interpolated(double alpha, Map<String, Score> scores, double deviation) {
  /** Copies the scores. */
  public Interpolated {
    scores = Map.copyOf(scores);
  }
}
