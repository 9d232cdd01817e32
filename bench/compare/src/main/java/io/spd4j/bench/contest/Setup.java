package io.spd4j.bench.contest;

import io.spd4j.bench.Select;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.report.Json;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The optimizer that a contestant is to set up.
 *
 * @param tensors numbers of elements
 * @param anchored whether there are anchors; otherwise it is the origin
 * @param select what SPD is to find; the other rules do not look at it
 * @param step the number of steps taken so far
 */
public record Setup(
    List<Long> tensors,
    boolean anchored,
    Rule rule,
    Select select,
    int threads,
    int seed,
    long step,
    double lr,
    double beta1,
    double beta2,
    double eps,
    double lambda) {

  /** Whether the rule needs arrays for the anchors. */
  public boolean needsAnchors() {
    return anchored && rule.readsAnchor();
  }

  /** The arrays of every tensor. */
  public List<ArrayKind> arrays() {
    return needsAnchors()
        ? List.of(ArrayKind.values())
        : List.of(ArrayKind.DATA, ArrayKind.GRADIENT, ArrayKind.EXP_AVG, ArrayKind.EXP_AVG_SQ);
  }

  /** The same with other values of some fields, by the names that they have in JSON. */
  public Setup with(Map<?, ?> others) {
    Map<String, Object> json = json();
    others.forEach((name, value) -> json.put(name.toString(), value));
    return of(json);
  }

  /** The request for it. */
  public Map<String, Object> json() {
    return Json.object(
        "cmd", "setup",
        "tensors", tensors,
        "anchored", anchored,
        "rule", rule,
        "select", select,
        "threads", threads,
        "seed", seed,
        "step", step,
        "lr", lr,
        "beta1", beta1,
        "beta2", beta2,
        "eps", eps,
        "lambda", lambda);
  }

  static Setup of(Map<?, ?> json) {
    return new Setup(
        ((List<?>) json.get("tensors")).stream().map(n -> ((Number) n).longValue()).toList(),
        (Boolean) json.get("anchored"),
        Rule.of(json.get("rule").toString()),
        Select.valueOf(json.get("select").toString().toUpperCase(Locale.ROOT)),
        number(json, "threads").intValue(),
        number(json, "seed").intValue(),
        number(json, "step").longValue(),
        number(json, "lr").doubleValue(),
        number(json, "beta1").doubleValue(),
        number(json, "beta2").doubleValue(),
        number(json, "eps").doubleValue(),
        number(json, "lambda").doubleValue());
  }

  private static Number number(Map<?, ?> json, String name) {
    return (Number) json.get(name);
  }
}
