package io.spd4j;

import static io.spd4j.Optimizers.group;
import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.selected;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What Flight Recorder records of steps. */
class StepEventTest {
  private static final String STEP = "io.spd4j.Step";
  private static final String SELECTION = "io.spd4j.SpdSelection";

  @AutoClose private final Arena arena = Arena.ofShared();
  @TempDir private Path folder;

  private List<RecordedEvent> record(Consumer<Recording> settings, Runnable work) throws Exception {
    return record(folder, settings, work);
  }

  /** Returns the events of the work, in order. */
  static List<RecordedEvent> record(Path folder, Consumer<Recording> settings, Runnable work)
      throws Exception {
    try (Recording recording = new Recording()) {
      settings.accept(recording);
      recording.start();
      work.run();
      recording.stop();
      Path file = folder.resolve("recording.jfr");
      recording.dump(file);
      return RecordingFile.readAllEvents(file).stream()
          .filter(e -> e.getEventType().getName().startsWith("io.spd4j."))
          .sorted(Comparator.comparing(RecordedEvent::getEndTime))
          .toList();
    }
  }

  /** Returns what an event says of a step. */
  static String facts(RecordedEvent e) {
    return "%s: %d tensors, %d elements, %d threads, %d selected, norm %s%s"
        .formatted(
            e.getString("backend"),
            e.getInt("tensors"),
            e.getLong("elements"),
            e.getInt("threads"),
            e.getInt("selected"),
            e.getDouble("norm"),
            e.getBoolean("skipped") ? ", skipped" : "");
  }

  @EachKernels
  void anEventForEachStepSaysWhatItDid(Kernels kernels) throws Exception {
    Parameter chosen = selected(arena, "chosen", 1, 100_000);
    Parameter other = parameter(arena, "other", 2, 50);
    Parameter frozen = parameter(arena, "frozen", 3, 7);
    Parameter without = Parameter.builder("without", Tensors.random(arena, 4, 9)).build();
    DecayRule spd = new SelectiveProjectionDecay(1);
    double[] norms = new double[2];
    try (Adam adam =
        Optimizers.adam(
            kernels,
            2,
            group(spd, List.of(chosen, without)),
            group(new L2SP(1), List.of(other)),
            ParameterGroup.builder().frozen(true).decay(spd).parameter(frozen).build())) {
      List<RecordedEvent> events =
          record(
              recording -> recording.enable(STEP),
              () -> {
                adam.step();
                norms[0] = adam.stepClipped(1);
                adam.gradientNorm();
                adam.stepParameter(other);
                adam.stepParameter(without);
                adam.stepParameter(frozen);
                float g = other.gradient().get(ValueLayout.JAVA_FLOAT, 0);
                other.gradient().set(ValueLayout.JAVA_FLOAT, 0, Float.NaN);
                adam.stepClipped(1);
                other.gradient().set(ValueLayout.JAVA_FLOAT, 0, g);
                assertThatThrownBy(() -> adam.step(-1)).isInstanceOf(RuntimeException.class);
                adam.clipAndStep(1, 0.5);
                norms[1] = adam.gradientNorm() * 0.5;
                other.gradient(null);
                adam.step();
              });
      String name = kernels.name();
      long selected = adam.spdReport(chosen).orElseThrow().selections();
      assertThat(selected).isPositive();
      assertThat(events.stream().mapToInt(e -> e.getInt("selected")).sum())
          .isEqualTo((int) selected);
      assertThat(events)
          .extracting(e -> facts(e).replaceAll("\\d+ selected", "s"))
          .containsExactly(
              name + ": 2 tensors, 100050 elements, 2 threads, s, norm NaN",
              name + ": 2 tensors, 100050 elements, 2 threads, s, norm " + norms[0],
              name + ": 1 tensors, 50 elements, 1 threads, s, norm NaN",
              name + ": 2 tensors, 100050 elements, 2 threads, s, norm NaN, skipped",
              name + ": 2 tensors, 100050 elements, 2 threads, s, norm " + norms[1],
              name + ": 1 tensors, 100000 elements, 2 threads, s, norm NaN");
      assertThat(events.getFirst().getInt("selected")).isEqualTo(1);
      assertThat(events.get(2).getInt("selected")).isZero();
      assertThat(events.get(3).getInt("selected")).isZero();
      assertThat(events)
          .allSatisfy(e -> {
            assertThat(e.getEventType().getName()).isEqualTo(STEP);
            assertThat(e.getDuration()).isPositive();
            assertThat(e.getStackTrace()).isNull();
          });
    }
  }

  @EachKernels
  void selectionsAreRecordedIfAskedFor(Kernels kernels) throws Exception {
    List<Parameter> parameters =
        List.of(
            selected(arena, "a", 1, 9000),
            parameter(arena, "b", 2, 100),
            parameter(arena, "empty", 3, 0));
    Parameter decayed = parameter(arena, "decayed", 4, 100);
    try (Adam adam =
        Optimizers.adam(
            kernels,
            2,
            group(new SelectiveProjectionDecay(0.5), parameters),
            group(new WeightDecay(0.1), List.of(decayed)))) {
      adam.step();
      List<SpdReport> reports = new ArrayList<>();
      List<RecordedEvent> events =
          record(
              recording -> recording.enable(SELECTION),
              () -> {
                adam.step();
                reports.addAll(adam.spdReports());
                adam.stepParameter(parameters.get(1));
                reports.add(adam.spdReport(parameters.get(1)).orElseThrow());
                adam.stepParameter(decayed);
                decayed.gradient().set(ValueLayout.JAVA_FLOAT, 0, Float.NaN);
                adam.stepClipped(1);
              });
      assertThat(events)
          .filteredOn(e -> e.getEventType().getName().equals(SELECTION))
          .extracting(StepEventTest::report)
          .containsExactlyElementsOf(reports.stream().map(StepEventTest::text).toList());
      assertThat(reports).hasSize(4);
    }
  }

  private static String report(RecordedEvent e) {
    return e.getString("parameter")
        + " "
        + e.getLong("step")
        + " "
        + e.getDouble("condition")
        + " "
        + e.getBoolean("selected")
        + " "
        + e.getDouble("ratio")
        + " "
        + e.getDouble("deviationBefore")
        + " "
        + e.getDouble("deviationAfter");
  }

  private static String text(SpdReport r) {
    return r.name()
        + " "
        + r.step()
        + " "
        + r.condition()
        + " "
        + r.selected()
        + " "
        + r.ratio()
        + " "
        + r.deviationBefore()
        + " "
        + r.deviationAfter();
  }

  @Test
  void unlessTheyAreEnabledOnlyStepsAreRecorded() throws Exception {
    try (Adam adam =
        Adam.builder()
            .group(group(new SelectiveProjectionDecay(1), List.of(selected(arena, "p", 1, 100))))
            .build()) {
      assertThat(record(recording -> {}, adam::step))
          .extracting(e -> e.getEventType().getName())
          .containsExactly(STEP);
    }
  }

  /** Prints how many bytes recorded calls allocate, once compiled. */
  static final class Measured {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    public static void main(String[] args) {
      try (Arena arena = Arena.ofShared();
          Adam adam =
              Optimizers.adam(
                  AllKernels.list().getLast(),
                  1,
                  group(
                      new SelectiveProjectionDecay(1),
                      List.of(
                          selected(arena, "encoder.layer.0.attention.weight", 1, 100),
                          parameter(arena, "encoder.layer.0.attention.bias", 2, 5000))),
                  group(new WeightDecay(1), List.of(parameter(arena, "head", 3, 10))))) {
        Parameter first = adam.parameters().getFirst();
        measure("step", adam::step);
        measure("stepClipped", () -> adam.stepClipped(1));
        measure("stepParameter", () -> adam.stepParameter(first));
      }
    }

    private static void measure(String call, Runnable code) {
      for (int i = 0; i < 20_000; i++) {
        code.run();
      }
      long before = THREADS.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 200; i++) {
        code.run();
      }
      long bytes = THREADS.getCurrentThreadAllocatedBytes() - before;
      System.out.printf("%s: %d bytes%n", call, bytes);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {STEP, SELECTION})
  void aStepThatIsRecordedAllocatesNothing(String event) throws Exception {
    String out =
        FreshJvm.run(
            folder,
            List.of(
                "--add-modules",
                "jdk.incubator.vector",
                "-XX:-BackgroundCompilation",
                "-XX:StartFlightRecording:settings=none," + event + "#enabled=true"),
            Measured.class);
    assertThat(out.lines().filter(line -> line.endsWith(" bytes")))
        .containsExactly("step: 0 bytes", "stepClipped: 0 bytes", "stepParameter: 0 bytes");
  }

  /** Steps in a runtime image that lacks Flight Recorder. */
  static final class WithoutFlightRecorder {
    public static void main(String[] args) {
      try (Arena arena = Arena.ofConfined()) {
        Parameter p = parameter(arena, "p", 1, 100);
        try (Adam adam =
            Adam.builder().group(group(new SelectiveProjectionDecay(1), List.of(p))).build()) {
          adam.step();
          adam.stepClipped(1);
          adam.stepParameter(p);
          System.out.println("step " + p.step());
        }
        Class.forName("jdk.jfr.Event");
      } catch (ClassNotFoundException e) {
        System.out.println("no Flight Recorder");
      }
    }
  }

  @Test
  void withoutTheModuleStepsAreNotRecorded() throws Exception {
    String out =
        FreshJvm.run(folder, List.of("--limit-modules", "java.base"), WithoutFlightRecorder.class);
    assertThat(out).contains("step 3").endsWith("no Flight Recorder\n");
  }
}
