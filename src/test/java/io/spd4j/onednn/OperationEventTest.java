package io.spd4j.onednn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.FreshJvm;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What Flight Recorder records. */
class OperationEventTest {
  private static final String EVENT = "io.spd4j.onednn.Operation";

  @TempDir private Path folder;

  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
  }

  private static void work(OneDnn dnn, Arena arena) {
    MemorySegment square = arena.allocate(6 * 6 * Float.BYTES, 64);
    MemorySegment other = arena.allocate(6 * 6 * Float.BYTES, 64);
    MemorySegment result = arena.allocate(6 * 6 * Float.BYTES, 64);
    Linear linear = dnn.linear(2, 4, 6);
    linear.forward(square, other, null, result);
    linear.backwardSourceAdd(square, other, result);
    linear.forward(square, other, null, result);
    linear.backwardWeights(square, other, result, null);
    Layout a = Layout.rowMajor(3, 2, 5);
    Layout b = Layout.rowMajor(3, 5, 1);
    dnn.matMul(a, b, Layout.rowMajor(3, 2, 1)).forward(square, other, result);
    dnn.softmax(2, 3).forward(square, result);
    assertThatThrownBy(() -> linear.forward(square, other, null, square))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private List<RecordedEvent> events(Recording recording) throws Exception {
    Path file = folder.resolve("recording.jfr");
    recording.dump(file);
    return RecordingFile.readAllEvents(file);
  }

  @Test
  void anEventForEachRunSaysWhatRan() throws Exception {
    try (Recording recording = new Recording();
        Arena arena = Arena.ofConfined();
        OneDnn dnn = OneDnn.open(1)) {
      recording.enable(EVENT);
      work(dnn, arena); // loads the events' class; nothing is recorded
      recording.start();
      work(dnn, arena);
      recording.stop();
      work(dnn, arena);

      List<RecordedEvent> events = events(recording);
      assertThat(events)
          .extracting(event -> event.getString("operation") + ": " + event.getLong("flops"))
          .containsExactlyInAnyOrder(
              "linear forward 2x4 to 2x6: 96",
              "linear backward (source) 2x4 to 2x6: 96",
              "linear forward 2x4 to 2x6: 96",
              "linear backward (weights) 2x4 to 2x6: 96",
              "matmul forward 3x2x5 by 3x5x1: 60",
              "softmax forward 2x3: 0");
      assertThat(events)
          .allSatisfy(event -> {
            assertThat(event.getEventType().getName()).isEqualTo(EVENT);
            assertThat(event.getDuration()).isPositive();
            assertThat(event.getString("implementation")).isNotBlank();
            assertThat(event.getStackTrace()).isNull();
          });
    }
  }

  @Test
  void stackTracesShowTheCaller() throws Exception {
    try (Recording recording = new Recording();
        Arena arena = Arena.ofConfined();
        OneDnn dnn = OneDnn.open(1)) {
      recording.enable(EVENT).withStackTrace();
      recording.start();
      work(dnn, arena);
      recording.stop();
      assertThat(events(recording))
          .hasSize(6)
          .allMatch(event ->
              event.getStackTrace().getFrames().stream()
                  .anyMatch(frame -> frame.getMethod().getName().equals("work")));
    }
  }

  /** Computes in a runtime image that lacks Flight Recorder. */
  static final class WithoutFlightRecorder {
    public static void main(String[] args) {
      try (Arena arena = Arena.ofConfined();
          OneDnn dnn = OneDnn.open(1)) {
        MemorySegment result = arena.allocate(6 * Float.BYTES, 64);
        dnn.softmax(2, 3).forward(arena.allocate(6 * Float.BYTES, 64), result);
        System.out.println(result.get(ValueLayout.JAVA_FLOAT, 0));
        Class.forName("jdk.jfr.Event");
      } catch (ClassNotFoundException e) {
        System.out.println("no Flight Recorder");
      }
    }
  }

  @Test
  void withoutTheModuleNothingIsRecorded() throws Exception {
    String out =
        FreshJvm.run(folder, List.of("--limit-modules", "java.base"), WithoutFlightRecorder.class);
    assertThat(out).endsWith("0.33333334\nno Flight Recorder\n");
  }

  @Test
  void aCallThatIsRecordedAllocatesNothing() throws Exception {
    String out =
        FreshJvm.run(
            folder,
            List.of(
                "-XX:-BackgroundCompilation",
                "-XX:StartFlightRecording:settings=none," + EVENT + "#enabled=true"),
            AllocationTest.Measured.class);
    List<String> lines = out.lines().filter(line -> line.endsWith(" bytes")).toList();
    assertThat(lines).hasSameSizeAs(Cases.ofEveryMethod());
    assertThat(lines).allMatch(line -> line.endsWith(": 0 bytes"));
  }
}
