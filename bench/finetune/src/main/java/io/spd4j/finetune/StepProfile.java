package io.spd4j.finetune;

import io.spd4j.finetune.minilm.PartEvent;
import io.spd4j.finetune.report.MarkdownTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;

/**
 * Where training steps spend their time, from Flight Recorder's events. The numbers are means over
 * the middle half of the steps by duration, because means add up and medians do not.
 *
 * @param stepMillis milliseconds of a whole step
 * @param rows the longest first; their milliseconds add up to stepMillis
 */
record StepProfile(double stepMillis, List<Row> rows) {
  /** What no event covers: Java code, and waiting between operations. */
  static final String REST = "everything else";

  private static final String OPERATION_EVENT = "io.spd4j.onednn.Operation";
  private static final String STEP = "step";

  /**
   * All calls of an operation in a step.
   *
   * @param operation what was computed, and the shapes
   * @param implementation the name of oneDNN's implementation; empty for other operations
   * @param calls number of calls
   * @param millis milliseconds of all calls
   * @param flops multiplications and additions in matrix products; 0 if there are none
   */
  record Row(String operation, String implementation, double calls, double millis, double flops) {}

  private record Key(String operation, String implementation) {}

  /** Begins an event for a whole step. */
  static PartEvent beginStep() {
    return PartEvent.begin(STEP);
  }

  /** Returns a recording of a profile's events, not started. */
  static Recording recording() {
    Recording recording = new Recording();
    recording.enable(OPERATION_EVENT);
    recording.enable(PartEvent.NAME);
    return recording;
  }

  /**
   * Returns the profile of a recording.
   *
   * @param skip number of steps to ignore at the start
   * @throws IOException if there is no room for a temporary file
   * @throws IllegalArgumentException if the recording has no more steps than that
   */
  static StepProfile of(Recording recording, int skip) throws IOException {
    Path file = Files.createTempFile("spd4j", ".jfr");
    try {
      recording.dump(file);
      // A recording also has events that are enabled by default, such as the optimizer's.
      List<RecordedEvent> events =
          RecordingFile.readAllEvents(file).stream()
              .filter(e -> isOperation(e) || e.getEventType().getName().equals(PartEvent.NAME))
              .toList();
      return of(events, skip);
    } finally {
      Files.delete(file);
    }
  }

  private static StepProfile of(List<RecordedEvent> events, int skip) {
    List<RecordedEvent> timed =
        events.stream()
            .filter(e -> operation(e).equals(STEP))
            .sorted(Comparator.comparing(RecordedEvent::getStartTime))
            .skip(skip)
            .sorted(Comparator.comparing(RecordedEvent::getDuration))
            .toList();
    if (timed.isEmpty()) {
      throw new IllegalArgumentException("the recording has no more than " + skip + " steps");
    }
    List<RecordedEvent> steps = timed.subList(timed.size() / 4, Math.ceilDiv(timed.size() * 3, 4));
    Map<Key, List<RecordedEvent>> byKey = new HashMap<>();
    for (RecordedEvent event : events) {
      if (!operation(event).equals(STEP) && steps.stream().anyMatch(s -> contains(s, event))) {
        Key key = new Key(operation(event), implementation(event));
        byKey.computeIfAbsent(key, k -> new ArrayList<>()).add(event);
      }
    }
    List<Row> rows = new ArrayList<>();
    byKey.forEach((key, all) -> rows.add(row(key, all, steps.size())));
    double whole = millis(steps) / steps.size();
    rows.add(new Row(REST, "", 1, whole - rows.stream().mapToDouble(Row::millis).sum(), 0));
    rows.sort(Comparator.comparingDouble(Row::millis).reversed());
    return new StepProfile(whole, List.copyOf(rows));
  }

  private static boolean contains(RecordedEvent step, RecordedEvent event) {
    Instant start = event.getStartTime();
    return !start.isBefore(step.getStartTime()) && start.isBefore(step.getEndTime());
  }

  private static Row row(Key key, List<RecordedEvent> all, double steps) {
    double flops = all.stream().mapToDouble(e -> isOperation(e) ? e.getLong("flops") : 0).sum();
    return new Row(
        key.operation, key.implementation, all.size() / steps, millis(all) / steps, flops / steps);
  }

  private static double millis(List<RecordedEvent> events) {
    return events.stream().mapToDouble(e -> e.getDuration().toNanos() / 1e6).sum();
  }

  private static boolean isOperation(RecordedEvent event) {
    return event.getEventType().getName().equals(OPERATION_EVENT);
  }

  private static String operation(RecordedEvent event) {
    return event.getString(isOperation(event) ? "operation" : "part");
  }

  private static String implementation(RecordedEvent event) {
    return isOperation(event) ? event.getString("implementation") : "";
  }

  /**
   * Returns a table in Markdown.
   *
   * @param sgemm multiplications and additions per second of a large matrix product
   */
  String table(double sgemm) {
    List<List<String>> lines = new ArrayList<>();
    for (Row row : rows) {
      boolean product = row.flops > 0;
      double speed = row.flops / row.millis * 1e3;
      lines.add(
          List.of(
              row.operation,
              row.implementation,
              number("%.0f", row.calls),
              number("%.2f", row.millis),
              number("%.1f%%", row.millis / stepMillis * 100),
              product ? number("%.0f", speed / 1e9) : "",
              product ? number("%.0f%%", speed / sgemm * 100) : ""));
    }
    lines.add(List.of("the step", "", "", number("%.2f", stepMillis), "100%", "", ""));
    return MarkdownTable.of(
        2,
        List.of("operation", "by oneDNN's", "calls", "ms per step", "share", "GFLOP/s", "of sgemm"),
        lines);
  }

  private static String number(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }
}
