package io.spd4j.bench.contest;

import io.spd4j.bench.Select;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.Json;
import java.util.List;
import java.util.Map;

/**
 * The optimizer that a contestant has to set up.
 *
 * @param tensors number of elements of each tensor
 * @param anchored whether the anchors are arrays; otherwise they are the origin
 * @param select which tensors SPD selects; other rules ignore it
 * @param state how the arrays are stored; contestants that know only float32 ignore it
 * @param step the number of steps taken so far
 */
public record Setup(
    List<Long> tensors,
    boolean anchored,
    Rule rule,
    Select select,
    State state,
    int threads,
    int seed,
    long step,
    double lr,
    double beta1,
    double beta2,
    double eps,
    double lambda) {

  /** Returns whether the rule needs anchor arrays. */
  public boolean needsAnchors() {
    return anchored && rule.readsAnchor();
  }

  /** Returns the kinds of arrays that every tensor has. */
  public List<ArrayKind> arrays() {
    return needsAnchors()
        ? List.of(ArrayKind.values())
        : List.of(ArrayKind.DATA, ArrayKind.GRADIENT, ArrayKind.EXP_AVG, ArrayKind.EXP_AVG_SQ);
  }

  /** Returns a copy in which some fields have other values. */
  public Setup with(Map<String, ?> others) {
    Map<String, Object> json = json();
    json.putAll(others);
    return Json.convert(json, Setup.class);
  }

  /** Returns the request for this set-up. */
  public Map<String, Object> json() {
    Map<String, Object> json = Json.object("cmd", "setup");
    Map<?, ?> fields = Json.convert(this, Map.class);
    fields.forEach((name, value) -> json.put(name.toString(), value));
    return json;
  }
}
