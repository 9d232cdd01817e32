package io.spd4j.finetune;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.spd4j.Checkpoint;
import io.spd4j.mpi.Mpi;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Jobs under mpirun. They need an MPI. */
class ProcessesTest {
  private static final String[] JOB =
      ("--rules adamw,l2sp,spd,lp_ft --state float32,split,bf16,8bit --sub-batches 4 --steps 20 --record 5 "
              + "--unfreeze layer0=9")
          .split(" ");

  @TempDir private Path folder;

  private record Outcome(int status, String out, String err) {}

  private String mpirun;

  @BeforeEach
  void needsMpi() {
    mpirun =
        Stream.of("mpirun.openmpi", "mpirun")
            .filter(ProcessesTest::isOnPath)
            .findFirst()
            .orElse("");
    assumeTrue(
        !mpirun.isEmpty() && Mpi.availability().available(),
        "no MPI: apt-get install openmpi-bin libopenmpi3");
  }

  private static boolean isOnPath(String program) {
    return Stream.of(System.getenv("PATH").split(File.pathSeparator))
        .anyMatch(path -> Files.isExecutable(Path.of(path, program)));
  }

  private Outcome run(List<String> command) throws IOException, InterruptedException {
    Path out = folder.resolve("out.txt");
    Path err = folder.resolve("err.txt");
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("OMPI_ALLOW_RUN_AS_ROOT", "1");
    builder.environment().put("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    Process process = builder.redirectOutput(out.toFile()).redirectError(err.toFile()).start();
    boolean ended = process.waitFor(3, TimeUnit.MINUTES);
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
    assertThat(ended).isTrue();
    return new Outcome(
        process.waitFor(), Files.readString(out, UTF_8), Files.readString(err, UTF_8));
  }

  private List<String> mpirun(int processes, List<String> program) {
    List<String> command = new ArrayList<>(List.of(mpirun, "-n", "" + processes));
    if (!Mpi.availability().reason().contains("MPICH")) {
      command.add(1, "--oversubscribe");
    }
    command.addAll(program);
    return command;
  }

  private Path results(String name) throws IOException {
    return Files.createDirectory(folder.resolve(name));
  }

  /** Returns the numbers without those of processes and cores, which mpirun may divide. */
  private static TinyResults of(Path results, Integer processes) throws IOException {
    TinyResults of = TinyResults.of(results);
    ((ObjectNode) of.report().get("machine")).remove("cores");
    JsonNode said = ((ObjectNode) of.report().get("settings")).remove("processes");
    assertThat(said == null ? null : said.asInt()).isEqualTo(processes);
    return of;
  }

  @Test
  void anyNumberOfProcessesLeavesTheSame() throws Exception {
    Path one = results("one");
    Outcome alone = run(TinyJob.command(one, JOB));
    assertThat(alone.err).isEmpty();
    assertThat(alone.status).isZero();
    TinyResults expected = of(one, null);
    assertThat(expected.weights()).hasSize(16);

    for (int processes : new int[] {2, 4}) {
      Path many = results("many" + processes);
      Outcome together = run(mpirun(processes, TinyJob.command(many, JOB)));
      assertThat(together.err).doesNotContain("Exception");
      assertThat(together.status).isZero();
      assertThat(of(many, processes)).isEqualTo(expected);
      assertThat(together.out.lines().filter(line -> line.startsWith("report: "))).hasSize(1);
    }
  }

  @Test
  void aJobGoesOnWithAnotherNumberOfProcesses() throws Exception {
    String[] job =
        "--rules spd --state split --sub-batches 4 --steps 200 --checkpoint-every 6 --resume"
            .split(" ");
    Path whole = results("whole");
    assertThat(run(TinyJob.command(whole, job)).status).isZero();

    Path some = results("some");
    Path before = Checkpoint.previous(some.resolve("tiny-checkpoint.safetensors"));
    Process process = new ProcessBuilder(TinyJob.command(some, job)).start();
    while (process.isAlive() && Files.notExists(before)) { // exists from the first steps on
      Thread.onSpinWait();
    }
    process.destroyForcibly().waitFor();
    Outcome resumed = run(mpirun(2, TinyJob.command(some, job)));

    assertThat(resumed.err).doesNotContain("Exception");
    assertThat(resumed.out).containsPattern("resumed after 0 runs and [1-9]\\d* steps");
    assertThat(resumed.status).isZero();
    assertThat(of(some, 2)).isEqualTo(of(whole, null));
  }

  @Test
  void differentOptionsAreRefused() throws Exception {
    List<String> command = mpirun(1, TinyJob.command(results("differ"), "--steps", "5"));
    command.add(":");
    command.addAll(
        mpirun(1, TinyJob.command(folder.resolve("differ"), "--steps", "6")).subList(2, 4));
    command.addAll(TinyJob.command(folder.resolve("differ"), "--steps", "6"));

    Outcome outcome = run(command);

    assertThat(outcome.status).isNotZero();
    assertThat(outcome.err).contains("rank 1 differs from rank 0 in the options");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--sub-batches 1 | at least the number of processes, 2, not 1",
        "--batch 6 --sub-batches 4 | --batch must be a multiple of the number of sub-batches, 4",
        "--rules ftp | ftp reads whole gradients",
      })
  void unfitOptionsAreRefused(String options) throws Exception {
    String[] parts = options.split(" \\| ");

    Outcome outcome = run(mpirun(2, TinyJob.command(results("unfit"), parts[0].split(" "))));

    assertThat(outcome.status).isNotZero();
    assertThat(outcome.err).contains(parts[1]);
    assertThat(folder.resolve("unfit")).isEmptyDirectory();
  }
}
