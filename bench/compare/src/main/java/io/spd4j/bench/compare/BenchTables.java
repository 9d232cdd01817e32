package io.spd4j.bench.compare;

import io.spd4j.bench.Shape;
import io.spd4j.bench.compare.Bench.Participant;
import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.MarkdownTable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** A run in Markdown: the targets, and a table for each shape and number of threads. */
final class BenchTables {
  private final Bench bench;
  private final StringBuilder text = new StringBuilder();

  private BenchTables(Bench bench) {
    this.bench = bench;
  }

  /**
   * Returns the whole text.
   *
   * @param charts the chart files, relative to the text's file
   */
  static String markdown(Bench bench, List<String> charts) {
    BenchTables tables = new BenchTables(bench);
    tables.head();
    tables.targets();
    charts.forEach(chart -> tables.line("![" + chart + "](" + chart + ")\n"));
    tables.workloads();
    tables.curve();
    tables.first();
    tables.micros();
    tables.participants();
    return tables.text.toString();
  }

  private void line(String line) {
    text.append(line).append('\n');
  }

  private void head() {
    line("# spd4j's steps against others\n");
    line(
        "%s, %d cores; %s; JDK %s; %s.%s%n"
            .formatted(
                bench.machine().cpu(),
                bench.machine().cores(),
                bench.machine().os(),
                bench.machine().jdk(),
                bench.finished(),
                bench.quick() ? " A quick run: fewer rounds, cases and competitors." : ""));
    line(
        "Each implementation runs in its own process. They take turns, round after round, in "
            + "alternating order, on arrays with the same values, float32 unless a state is named. "
            + "Before that, the results of three steps are compared, on tensors cut to a million "
            + "elements. Times are medians over the rounds, with the middle half of the rounds in "
            + "brackets. Bytes are computed: the least that a step has to read and write (with "
            + "float32, 28 per parameter with AdamW, 4 more for an anchor, 12 more where SPD "
            + "projects, 8 without an anchor), whatever an implementation moves. RSS is the memory "
            + "that a process holds after the steps: the arrays, and all else that it needs. c-rmw is a plain C loop that reads and writes as many arrays as the step, "
            + "c-copy copies one half of them to the other: they show the limit of the memory or, "
            + "for small shapes, of the caches. AdamW among the rows of another rule is a yardstick "
            + "from the same rounds; with pytorch-bf16, all "
            + "arrays are bfloat16.\n");
  }

  private void targets() {
    if (bench.cases().isEmpty() && bench.first().isEmpty()) {
      return;
    }
    line("## Targets\n");
    List<List<String>> rows = new ArrayList<>();
    for (Target target : Target.of(bench)) {
      String ratio =
          target.ratio() == null
              ? Units.NONE
              : "%s (%s–%s)"
                  .formatted(
                      Units.digits(target.ratio().median()),
                      Units.digits(target.ratio().q1()),
                      Units.digits(target.ratio().q3()));
      String verdict =
          target.ratio() == null ? Units.NONE : target.reached() ? "reached" : "missed";
      rows.add(List.of(target.text(), target.remark(), verdict, ratio));
    }
    line(MarkdownTable.of(3, List.of("target", "", "", "ratio"), rows));
  }

  private void workloads() {
    Set<List<?>> groups = new LinkedHashSet<>();
    bench.cases().forEach(c -> groups.add(group(c)));
    for (List<?> group : groups) {
      List<CaseResult> cases = bench.cases().stream().filter(c -> group(c).equals(group)).toList();
      workload(cases);
    }
  }

  private static List<?> group(CaseResult result) {
    return List.of(result.step().shape(), result.step().threads());
  }

  private void workload(List<CaseResult> cases) {
    StepCase step = cases.getFirst().step();
    Shape shape = step.shape();
    line(
        "## %s, %s%n".formatted(shape.name(), step.threadsName())
            + "\n%s in %s.%s%n"
                .formatted(
                    parameters(shape),
                    shape.tensors().size() == 1
                        ? "one tensor"
                        : Units.count(shape.tensors().size()) + " tensors",
                    shape.anchored() ? "" : " No anchors: the rules decay towards the origin."));
    List<List<String>> rows = new ArrayList<>();
    for (CaseResult result : cases) {
      result.entries().stream().filter(Entry::measured).forEach(e -> rows.add(row(result, e)));
    }
    line(
        MarkdownTable.of(
            2,
            List.of(
                "step",
                "",
                "time",
                "× spd4j-native",
                "GB/s",
                "of c-rmw",
                "of c-copy",
                "allocated",
                "RSS"),
            rows));
    problems(cases);
  }

  private static String parameters(Shape shape) {
    return Units.count(shape.numel()) + " parameters";
  }

  private static List<String> row(CaseResult result, Entry entry) {
    String rule =
        entry.rule() == result.step().rule()
            ? result.step().ruleName()
            : result.step().ruleName() + ": " + entry.rule().title();
    double rate = result.gigabytesPerSecond(entry);
    return List.of(
        rule,
        entry.name(),
        Units.time(entry.nanos()),
        result
            .measured(Competitors.NATIVE)
            .map(ours -> Units.digits(CaseResult.ratio(entry, ours).median()))
            .orElse(Units.NONE),
        Units.digits(rate),
        Units.percent(rate / rate(result, Competitors.RMW)),
        Units.percent(rate / rate(result, Competitors.COPY)),
        Units.bytes(entry.allocated()),
        Units.bytes(entry.memory() == null ? null : entry.memory().doubleValue()));
  }

  private static double rate(CaseResult result, String name) {
    return result.measured(name).map(result::gigabytesPerSecond).orElse(Double.NaN);
  }

  /** Lists each problem once, with the rules it affects. */
  private void problems(List<CaseResult> cases) {
    Map<String, List<String>> rules = new LinkedHashMap<>();
    for (CaseResult result : cases) {
      result.entries().stream()
          .filter(e -> !e.measured())
          .forEach(e ->
              rules
                  .computeIfAbsent(e.name() + ": " + e.problem(), reason -> new ArrayList<>())
                  .add(result.step().ruleName()));
    }
    rules.forEach((reason, where) -> line("- %s (%s)".formatted(reason, String.join("; ", where))));
    if (!rules.isEmpty()) {
      line("");
    }
  }

  private void curve() {
    if (bench.curve().isEmpty()) {
      return;
    }
    line("## AdamW on one tensor\n");
    List<String> names =
        bench.curve().stream()
            .flatMap(c -> c.entries().stream().map(Entry::name))
            .distinct()
            .toList();
    List<String> header = new ArrayList<>(List.of("threads", "parameters"));
    header.addAll(names);
    List<List<String>> rows = new ArrayList<>();
    bench.curve().stream()
        .sorted((a, b) -> Integer.compare(a.step().threads(), b.step().threads()))
        .forEach(result -> {
          List<String> row = new ArrayList<>();
          row.add(Integer.toString(result.step().threads()));
          row.add(String.format(Locale.ROOT, "%,d", result.step().shape().numel()));
          for (String name : names) {
            Optional<Entry> entry = result.measured(name);
            row.add(entry.map(e -> Units.time(e.nanos())).orElse(Units.NONE));
          }
          rows.add(row);
        });
    line(MarkdownTable.of(0, header, rows));
  }

  private void first() {
    if (bench.first().isEmpty()) {
      return;
    }
    line("## The first second\n");
    line(
        "Steps of a fresh JVM, with no flags except those a backend needs. The arrays lie in shared "
            + "arenas; the program also uses a confined arena. At rest: the median of the steps "
            + "after the hundredth.\n");
    List<List<String>> rows = new ArrayList<>();
    for (FirstSteps f : bench.first()) {
      Optional<FirstSteps> ours =
          bench.first().stream()
              .filter(o -> o.step().equals(f.step()) && o.name().equals(Competitors.NATIVE))
              .findFirst();
      rows.add(
          List.of(
              f.step().toString(),
              f.name(),
              Units.time(f.first()),
              Units.time(f.tenth()),
              Units.time(f.hundredth()),
              Units.time(f.rest()),
              ours.map(o -> Units.digits(f.tenth() / o.tenth())).orElse(Units.NONE),
              ours.map(o -> Units.digits(f.rest() / o.rest())).orElse(Units.NONE)));
    }
    line(
        MarkdownTable.of(
            2,
            List.of(
                "step",
                "",
                "1st",
                "10th",
                "100th",
                "at rest",
                "10th × spd4j-native",
                "at rest × spd4j-native"),
            rows));
  }

  private void micros() {
    if (bench.micros().isEmpty()) {
      return;
    }
    line("## JMH microbenchmarks\n");
    List<List<String>> rows =
        bench.micros().stream()
            .map(m ->
                List.of(
                    m.name(),
                    Units.time(m.nanos()),
                    "± " + Units.time(m.error()),
                    Units.bytes(m.allocated())))
            .toList();
    line(MarkdownTable.of(1, List.of("", "time", "99.9%", "allocated"), rows));
  }

  private void participants() {
    line("## Participants\n");
    for (Participant p : bench.participants()) {
      line(
          "- %s: %s"
              .formatted(
                  p.name(),
                  p.absent() == null
                      ? p.version() + agreement(p.name())
                      : "absent. " + p.absent()));
    }
  }

  /** Says how far a participant's results are from ours at most. */
  private String agreement(String name) {
    List<Entry> compared =
        bench
            .all()
            .flatMap(c -> c.entries().stream())
            .filter(e -> e.name().equals(name) && e.difference() != null)
            .filter(e -> e.kind() != Kind.OURS || e.state().equals(State.FLOAT32))
            .toList();
    if (compared.isEmpty()) {
      return "";
    }
    double worst = compared.stream().mapToDouble(Entry::difference).max().orElseThrow();
    return worst == 0
        ? "; its results have the same bits"
        : String.format(
            Locale.ROOT, "; its results differ by at most %.0e of what the steps change", worst);
  }
}
