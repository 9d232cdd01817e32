package io.spd4j.finetune;

import io.spd4j.Adam;
import io.spd4j.Checkpoint;
import io.spd4j.CheckpointException;
import io.spd4j.ElementType;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.report.ReportFiles;
import io.spd4j.finetune.report.Run;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.SafetensorsWriter.Option;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;

/**
 * The file from which a job goes on after a kill: the {@link JobState} and, within a run, the
 * optimizer with its parameters. A new one replaces it at once, and the one before is kept.
 */
final class JobCheckpoint {
  /** The tensor that has the job's state as JSON. */
  private static final String JOB = "job";

  private final Path file;
  private final Map<String, String> options;
  private final Processes processes;
  private final Log log;

  /** A checkpoint that was read. */
  record Saved(JobState state, Checkpoint file) {}

  /**
   * @param options what determines the results, by the options' names
   * @param processes all read the file; the first one writes it
   */
  JobCheckpoint(Path file, Map<String, String> options, Processes processes, Log log) {
    this.file = file;
    this.options = options;
    this.processes = processes;
    this.log = log;
  }

  /**
   * Reads the file, or the one before if it is damaged.
   *
   * @return empty if there is none
   * @throws Failure if it belongs to a job with other options, or neither can be used
   */
  Optional<Saved> read() throws Failure, IOException, InterruptedException {
    return processes.firstAlone(this::readOrRepair); // which may put another file in place
  }

  private Optional<Saved> readOrRepair() throws Failure, IOException {
    Path previous = Checkpoint.previous(file);
    Saved saved;
    try {
      saved = read(file);
    } catch (CheckpointException | NoSuchFileException damaged) {
      if (!Files.exists(previous)) {
        if (damaged instanceof NoSuchFileException) {
          return Optional.empty();
        }
        throw Failure.ofCheckpoint(damaged.getMessage() + "; there is none before it");
      }
      try {
        saved = read(previous);
      } catch (CheckpointException both) {
        throw Failure.ofCheckpoint(
            damaged.getMessage() + "; nor can the one before be used: " + both.getMessage());
      }
      compare(saved.state.options());
      log.problem(damaged.getMessage() + "; the job goes on from there");
      Files.move(previous, file, StandardCopyOption.ATOMIC_MOVE); // the damaged one is never kept
    }
    compare(saved.state.options());
    return Optional.of(saved);
  }

  private static Saved read(Path file) throws Failure, IOException {
    Checkpoint checkpoint = Checkpoint.read(file, Arena.ofAuto());
    Tensor job = checkpoint.tensors().get(JOB);
    if (job == null) {
      throw Failure.ofCheckpoint(file + " is not the checkpoint of a job");
    }
    try {
      return new Saved(JobState.parse(job.data().toArray(ValueLayout.JAVA_BYTE)), checkpoint);
    } catch (IOException e) {
      throw Failure.ofCheckpoint(file + " was written by another version: " + e.getMessage());
    }
  }

  private void compare(Map<String, String> saved) throws Failure {
    TreeSet<String> names = new TreeSet<>(options.keySet());
    names.addAll(saved.keySet());
    for (String name : names) {
      if (!String.valueOf(options.get(name)).equals(String.valueOf(saved.get(name)))) {
        throw Failure.ofInput(
            "%s is %s, but was %s when %s was written: resume with the same, or leave out --resume"
                .formatted(name, options.get(name), saved.get(name), file));
      }
    }
  }

  /** Writes that some runs are finished, and the next one has not begun. */
  void write(List<Run> finished) {
    if (!processes.isFirst()) {
      return;
    }
    attempt(() -> {
      Tensor job = job(new JobState(options, finished, null));
      SafetensorsWriter.write(file, List.of(job), Map.of(), Option.CHECKSUM, Option.KEEP_PREVIOUS);
    });
  }

  /** Writes how far a run has come. Collective. */
  void write(List<Run> finished, Trainer.State current, Adam adam) {
    attempt(() -> {
      Tensor job = job(new JobState(options, finished, current));
      Checkpoint.of(adam)
          .parameters(true)
          .keepPrevious(true)
          .tensor(job.name(), job.dtype(), job.shape(), job.data())
          .write(file);
    });
  }

  private static Tensor job(JobState state) throws IOException {
    byte[] json = state.toJson();
    return new Tensor(
        JOB, ElementType.UINT8, List.of((long) json.length), MemorySegment.ofArray(json));
  }

  private interface Write {
    void run() throws IOException;
  }

  /** Says so if it fails; the job goes on, and the checkpoint before remains. */
  private void attempt(Write write) {
    try {
      write.run();
    } catch (IOException e) {
      log.problem(
          "no checkpoint could be written to %s (%s)%s"
              .formatted(
                  file,
                  ReportFiles.reason(e),
                  Files.isRegularFile(file) ? "; the one before remains" : ""));
    }
  }

  /** Returns whether an earlier job left a checkpoint. */
  boolean exists() {
    return Files.exists(file);
  }

  /** Deletes the checkpoint before, because the job has ended. */
  void forgetPrevious() {
    if (!processes.isFirst()) {
      return;
    }
    try {
      Files.deleteIfExists(Checkpoint.previous(file));
    } catch (IOException e) {
      // it only takes space
    }
  }
}
