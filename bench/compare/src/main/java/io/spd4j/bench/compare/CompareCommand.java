package io.spd4j.bench.compare;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.bench.Shape;
import io.spd4j.bench.compare.Bench.Participant;
import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.report.Json;
import io.spd4j.finetune.report.Machine;
import io.spd4j.finetune.report.ReportFiles;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Compares our steps, the machine's limits and other libraries' steps. */
@Command(
    name = "compare",
    description = {
      "Times optimizer steps side by side: spd4j's backends, plain C loops that show the machine's "
          + "limits, and the other libraries that are installed. Each runs in its own process; all "
          + "take the same steps in turn.",
      "Writes bench.md, bench.json and charts."
    },
    footer = {
      "",
      "Example: java -jar spd4j-bench.jar compare --quick --shape lora --only 'spd4j-.*|c-.*'"
    })
public final class CompareCommand implements Callable<Integer> {
  private static final Set<String> CURVE =
      Set.of(Competitors.NATIVE, Competitors.VECTOR, Competitors.PLAIN_ADAMW, Competitors.RMW);

  @Spec private CommandSpec spec;

  @Option(
      names = "--quick",
      description = "Fewer cases, rounds and competitors: under three minutes.")
  private boolean quick;

  @Option(
      names = "--shape",
      converter = Shape.Converter.class,
      description =
          "Measure only this shape; can be repeated: vit-b16, minilm, lora (no anchor), one:N or "
              + "many:COUNTxN.")
  private List<Shape> shapes = new ArrayList<>();

  @Option(
      names = "--threads",
      split = ",",
      converter = Count.class,
      description = "Numbers of threads; peers use the largest; default: 1,2.")
  private List<Integer> threads = List.of(1, 2);

  @Option(
      names = "--only",
      description = "Only competitors whose names match this regular expression.")
  private Pattern only = Pattern.compile(".*");

  @Option(
      names = "--parts",
      split = ",",
      description = "Parts to measure, of ${COMPLETION-CANDIDATES}; default: all.")
  private Set<Part> parts = Set.of(Part.values());

  @Option(
      names = "--limits",
      description = "The C program that `make limits` builds; default: ${DEFAULT-VALUE}.",
      defaultValue = "target/bench/limits")
  private Path limits;

  @Option(
      names = "--python",
      description = "A Python with torch; default: ${DEFAULT-VALUE}.",
      defaultValue = "python3")
  private String python;

  @Option(
      names = "--peers",
      description = "The folder of contestant.py; default: ${DEFAULT-VALUE}.",
      defaultValue = "bench/peers")
  private Path peers;

  @Option(
      names = "--java-peers",
      description = "What the Maven profile `peers` builds; default: ${DEFAULT-VALUE}.",
      defaultValue = "bench/compare/target/peers")
  private Path javaPeers;

  @Option(
      names = "--results",
      description = "The folder to write to; default: ${DEFAULT-VALUE}.",
      defaultValue = "bench/results")
  private Path results;

  @Option(
      names = "--against",
      description =
          "Measure nothing; print the times of this file beside those of bench.json in --results.")
  private Path against;

  /** The parts of a run. */
  private enum Part {
    CASES,
    CURVE,
    FIRST,
    MICROS
  }

  @Override
  public Integer call() throws Failure, IOException {
    PrintWriter out = spec.commandLine().getOut();
    if (against != null) {
      Bench now = BenchJson.read(results.resolve("bench.json"));
      out.print(SideBySide.of(BenchJson.read(against), now));
      out.flush();
      return ExitCode.OK;
    }
    List<Integer> ascending = threads.stream().distinct().sorted().toList();
    Bench bench = measure(quick ? Plan.quick(shapes, ascending) : Plan.full(shapes, ascending));
    write(bench);
    return ExitCode.OK;
  }

  private Bench measure(Plan plan) throws Failure {
    List<Participant> participants = new ArrayList<>();
    List<CompetitorProcess> processes = new ArrayList<>();
    List<CaseResult> cases = new ArrayList<>();
    List<CaseResult> curve = new ArrayList<>();
    try {
      if (parts.contains(Part.CASES) || parts.contains(Part.CURVE)) {
        start(processes, participants);
      }
      int most = plan.cases().getLast().threads();
      if (parts.contains(Part.CASES)) {
        CaseRunner all = new CaseRunner(processes, plan.pace(), most);
        CaseRunner ours = new CaseRunner(without(Kind.PEER, processes), plan.pace(), most);
        run(plan.cases(), step -> plan.peersTakePart(step) ? all : ours, cases);
      }
      if (parts.contains(Part.CURVE)) {
        List<CompetitorProcess> some =
            processes.stream().filter(p -> CURVE.contains(p.competitor().name())).toList();
        CaseRunner runner = new CaseRunner(some, plan.pace(), most);
        run(plan.curve(), step -> runner, curve);
      }
    } finally {
      processes.forEach(CompetitorProcess::close);
    }
    List<FirstSteps> first =
        parts.contains(Part.FIRST) ? FirstSteps.measure(plan.first()) : List.of();
    List<Micro> micros = parts.contains(Part.MICROS) ? Micro.measure(plan.quick()) : List.of();
    return new Bench(
        Instant.now().truncatedTo(ChronoUnit.SECONDS),
        plan.quick(),
        Machine.here(),
        participants,
        cases,
        curve,
        first,
        micros);
  }

  /** Starts all chosen competitors and keeps those that answer. */
  private void start(List<CompetitorProcess> processes, List<Participant> participants) {
    List<Competitor> all = Competitors.all(limits, python, peers, javaPeers);
    for (Competitor competitor : all) {
      if (only.matcher(competitor.name()).matches()) {
        try {
          if (quick && Competitors.NOT_QUICK.contains(competitor.name())) {
            throw new UnableException("left out of a quick run");
          }
          processes.add(CompetitorProcess.start(competitor));
        } catch (UnableException e) {
          absent(competitor, e, participants);
        }
      }
    }
    for (CompetitorProcess process : List.copyOf(processes)) {
      String name = process.competitor().name();
      try {
        process.hello();
        participants.add(new Participant(name, process.version(), null));
        say("%-18s %s", name, process.version());
      } catch (UnableException e) {
        processes.remove(process);
        process.close();
        absent(process.competitor(), e, participants);
      }
    }
    List<String> order = all.stream().map(Competitor::name).toList();
    participants.sort(Comparator.comparing(p -> order.indexOf(p.name())));
  }

  private void absent(Competitor competitor, UnableException why, List<Participant> participants) {
    participants.add(new Participant(competitor.name(), null, why.getMessage()));
    say("%-18s absent: %s", competitor.name(), why.getMessage());
  }

  private static List<CompetitorProcess> without(Kind kind, List<CompetitorProcess> processes) {
    return processes.stream().filter(p -> p.competitor().kind() != kind).toList();
  }

  private void run(
      List<StepCase> steps, Function<StepCase, CaseRunner> runner, List<CaseResult> results)
      throws Failure {
    for (StepCase step : steps) {
      say("%n%s", step);
      CaseResult result = runner.apply(step).run(step);
      results.add(result);
      for (Entry entry : result.entries()) {
        say(
            "  %-18s %s",
            entry.name(),
            entry.measured()
                ? "%-26s %s GB/s"
                    .formatted(
                        Units.time(entry.nanos()), Units.digits(result.gigabytesPerSecond(entry)))
                : entry.problem());
      }
    }
  }

  private void say(String format, Object... arguments) {
    spec.commandLine().getOut().println(format.formatted(arguments));
  }

  /** Writes the numbers first, so that a machine without fonts loses only the charts. */
  private void write(Bench bench) throws Failure {
    ReportFiles.write(results.resolve("bench.json"), out -> Json.write(BenchJson.of(bench), out));
    List<String> files = new ArrayList<>();
    try {
      for (Map.Entry<String, String> chart : BenchCharts.of(bench).entrySet()) {
        String file = "bench-" + chart.getKey() + ".svg";
        text(file, chart.getValue());
        files.add(file);
      }
    } catch (LinkageError | InternalError | RuntimeException e) {
      say("%nThere are no charts, because Java could not draw them here: %s", e);
    }
    String markdown = BenchTables.markdown(bench, files);
    text("bench.md", markdown);
    say("%n%s%nWritten to %s.", markdown, results.resolve("bench.md"));
  }

  private void text(String file, String content) throws Failure {
    ReportFiles.write(results.resolve(file), out -> out.write(content.getBytes(UTF_8)));
  }
}
