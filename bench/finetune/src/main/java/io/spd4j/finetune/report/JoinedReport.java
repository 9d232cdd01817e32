package io.spd4j.finetune.report;

import io.spd4j.finetune.cli.Failure;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;

/** One report of what several jobs did, each with a part of the rules, seeds or data. */
public final class JoinedReport {
  /** The setting of LP-FT, which jobs without LP-FT lack. */
  public static final String PROBING = "LP-FT, steps for the head alone";

  private static final String MACHINES = "machines";

  /**
   * Settings that may differ. The runs say the first three themselves; the threads, like the
   * machine, change how long a step takes and no more than roundings of what is trained.
   */
  private static final Set<String> FREE = Set.of("lr", "state", "data", "threads");

  private final List<Part> parts = new ArrayList<>();

  private record Part(Path file, FinetuneReport report) {
    boolean has(String setting) {
      return report.settings().containsKey(setting);
    }

    Object setting(String name) {
      return report.settings().getOrDefault(name, "(none)");
    }

    /** Returns the machines of a report that may be a joined one. */
    Stream<?> machines() {
      return has(MACHINES) ? values(setting(MACHINES)) : Stream.of(report.machine().line());
    }
  }

  private JoinedReport() {}

  /** Returns a setting with one value or a list of several. */
  public static Object setting(Stream<?> values) {
    List<?> distinct = values.distinct().toList();
    return distinct.size() == 1 ? distinct.getFirst() : distinct;
  }

  private static Stream<?> values(Object setting) {
    return setting instanceof List<?> several ? several.stream() : Stream.of(setting);
  }

  /**
   * Reads what jobs wrote as JSON and joins it. The runs are in the order in which one job would do
   * them, and rules, data and so on in the order of the files. An interrupted run gives way to a
   * complete one.
   *
   * @param files at least one
   * @throws Failure if a file cannot be read, or reports do not belong together: they differ in
   *     test sets or settings, or have the same run
   */
  public static FinetuneReport of(List<Path> files) throws Failure {
    JoinedReport joined = new JoinedReport();
    for (Path file : files) {
      joined.parts.add(new Part(file, StoredReport.read(file)));
    }
    return joined.report();
  }

  private FinetuneReport report() throws Failure {
    FinetuneReport first = parts.getFirst().report();
    same("the title", parts, part -> part.report().title());
    return new FinetuneReport(
        first.title(),
        settings(),
        first.machine(),
        parts.stream().map(part -> part.report().finished()).max(Instant::compareTo).orElseThrow(),
        testSets(),
        runs(FinetuneReport::runs, false),
        runs(FinetuneReport::trials, true));
  }

  /** Refuses parts that differ from the first one. */
  private static void same(String what, List<Part> some, Function<Part, Object> value)
      throws Failure {
    Part first = some.getFirst();
    for (Part part : some) {
      if (!Objects.equals(value.apply(part), value.apply(first))) {
        throw Failure.ofInput(
            "%s cannot be joined with %s: %s: %s, not %s"
                .formatted(part.file(), first.file(), what, value.apply(part), value.apply(first)));
      }
    }
  }

  private Map<String, Object> settings() throws Failure {
    Map<String, Object> joined = new LinkedHashMap<>();
    for (String name : names()) {
      List<Part> having = parts.stream().filter(part -> part.has(name)).toList();
      if (FREE.contains(name)) {
        joined.put(name, setting(having.stream().flatMap(part -> values(part.setting(name)))));
      } else {
        same(name, name.equals(PROBING) ? having : parts, part -> part.setting(name));
        joined.put(name, having.getFirst().setting(name));
      }
    }
    List<?> machines = parts.stream().flatMap(Part::machines).distinct().toList();
    if (machines.size() > 1) {
      joined.put(MACHINES, machines);
    }
    return joined;
  }

  /** Returns the names of all settings, in the order of each report. */
  private List<String> names() {
    List<String> names = new ArrayList<>();
    for (Part part : parts) {
      int next = 0;
      for (String name : part.report().settings().keySet()) {
        if (!names.contains(name)) {
          names.add(next, name);
        }
        next = names.indexOf(name) + 1;
      }
    }
    names.remove(MACHINES);
    return names;
  }

  /**
   * Returns the test sets of the report that has the most. Another may lack some, since not every
   * test is for all data.
   */
  private List<String> testSets() throws Failure {
    Part most =
        parts.stream()
            .max(Comparator.comparing(part -> part.report().testSets().size()))
            .orElseThrow();
    List<String> all = most.report().testSets();
    for (Part part : parts) {
      List<String> own = part.report().testSets();
      if (!own.equals(all.stream().filter(own::contains).toList())) {
        throw Failure.ofInput(
            "%s cannot be joined with %s: test sets: %s, not %s"
                .formatted(part.file(), most.file(), own, all));
      }
    }
    return all;
  }

  private record Identity(Setup setup, long seed) {
    Identity(Run run) {
      this(run.setup(), run.seed());
    }
  }

  private record Source(Path file, Run run) {}

  /**
   * Returns the runs of all parts.
   *
   * @param trials whether they are trials
   */
  private List<Run> runs(Function<FinetuneReport, List<Run>> ofPart, boolean trials)
      throws Failure {
    Map<Identity, Source> joined = new LinkedHashMap<>();
    for (Part part : parts) {
      for (Run run : ofPart.apply(part.report())) {
        Source before = joined.putIfAbsent(new Identity(run), new Source(part.file(), run));
        if (before == null) {
          continue;
        }
        if (run.complete() && !before.run().complete()) {
          joined.put(new Identity(run), new Source(part.file(), run));
        } else if (run.complete() == before.run().complete()
            && !(trials && agree(run, before.run()))) {
          throw Failure.ofInput(
              "%s and %s both have the run %s".formatted(before.file(), part.file(), title(run)));
        }
      }
    }
    return ordered(joined.values().stream().map(Source::run).toList());
  }

  /**
   * Returns the runs as one job does them: by seed, data, rule, λ, learning rate and state, each
   * but the seeds in the order of its first appearance.
   */
  private static List<Run> ordered(List<Run> runs) {
    Comparator<Run> order = Comparator.comparing(Run::seed);
    List<Function<Setup, Object>> parts =
        List.of(
            Setup::data,
            Setup::rule,
            setup -> List.of(setup.rule(), setup.lambda()), // every rule has a λ of its own
            Setup::lr,
            Setup::state);
    for (Function<Setup, Object> part : parts) {
      List<Object> values = runs.stream().map(run -> part.apply(run.setup())).distinct().toList();
      order = order.thenComparing(run -> values.indexOf(part.apply(run.setup())));
    }
    return runs.stream().sorted(order).toList();
  }

  /**
   * Returns whether two trials chose alike. Jobs that share their trials and not their seeds have
   * all done them.
   */
  private static boolean agree(Run trial, Run other) {
    return Objects.equals(trial.validation(), other.validation());
  }

  private static String title(Run run) {
    Setup setup = run.setup();
    return "%s, lr = %s, state %s, data %s, seed %d"
        .formatted(
            setup.label(),
            setup.learningRate(),
            setup.state(),
            ResultTable.data(setup.data()),
            run.seed());
  }
}
