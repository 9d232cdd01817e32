package io.spd4j.torture;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.Adam;
import io.spd4j.Interpolation;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.cuda.CudaAvailable;
import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaEvent;
import io.spd4j.cuda.CudaException;
import io.spd4j.cuda.CudaGraph;
import io.spd4j.cuda.CudaOnHost;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import io.spd4j.cuda.PinnedArena;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A program that uses all of CUDA is run again and again; each time one call fails. */
@CudaAvailable(onHostOnly = true)
class CudaFaultsTest {
  private static final int NUMEL = 5000;
  private static final int INVALID_VALUE = 1;
  private static final int OUT_OF_MEMORY = 2;
  private static final int LAUNCH_FAILURE = 719;

  private static final int MANY = 1_000_000;

  /** Functions whose failure changes nothing; or, if empty, none was called. */
  private static final String UNREPORTED = "|cudaGetLastError";

  @TempDir private Path folder;
  private final CudaDevice device = CudaDevice.of(0);

  @AfterEach
  void reset() {
    CudaOnHost.reset();
  }

  @Test
  void aFailureIsReportedAndLeavesNothingBehind() throws IOException {
    byte[] result = program();
    int calls = calls();
    Rounds.run(
        CudaFaultsTest.class,
        12,
        (random, rounds) -> {
          int kind = random.nextInt(10);
          int error = kind == 0 ? LAUNCH_FAILURE : kind < 5 ? INVALID_VALUE : OUT_OF_MEMORY;
          fail(random.nextInt(calls) + 1, error, result);
          rounds.count("failed calls of CUDA", 1);
        });
  }

  /** Takes minutes. */
  @ParameterizedTest
  @ValueSource(ints = {INVALID_VALUE, OUT_OF_MEMORY, LAUNCH_FAILURE})
  @Tag("sweep")
  void eachCallFailsOnce(int error) throws IOException {
    byte[] result = program();
    int calls = calls();
    int failed = 0;
    SoftAssertions failures = new SoftAssertions();
    for (int call = 1; call <= calls; call++) {
      try {
        failed += fail(call, error, result) ? 1 : 0;
      } catch (Throwable e) { // go on: there may be more findings
        failures.fail("call %d".formatted(call), e);
      }
    }
    failures.assertThat(failed).as("failed calls").isCloseTo(calls, within(20)); // some wait
    failures.assertAll();
    Rounds.report(CudaFaultsTest.class, "calls of CUDA failed with error " + error, failed);
  }

  /** Returns how many calls of CUDA the program makes. */
  private int calls() throws IOException {
    CudaOnHost.fail("", INVALID_VALUE, MANY);
    program();
    int calls = (int) (MANY - CudaOnHost.callsUntilFailure());
    CudaOnHost.reset();
    return calls;
  }

  /** Runs the program with a call that fails; returns false if it makes fewer calls. */
  private boolean fail(int call, int error, byte[] result) throws IOException {
    long free = device.freeMemory();
    long objects = CudaOnHost.objects();
    CudaOnHost.fail("", error, call);
    Exception thrown = null;
    try {
      assertThat(program()).isEqualTo(result);
    } catch (CudaException | IllegalArgumentException e) {
      thrown = e;
    }
    String failed = CudaOnHost.failed();
    CudaOnHost.reset();
    String what = "call %d, %s, error %d".formatted(call, failed, error);
    if (failed.equals("cudaPointerGetAttributes") && error == INVALID_VALUE) {
      assertThat(thrown).as(what).isInstanceOf(IllegalArgumentException.class);
    } else if (thrown != null) {
      assertThat(thrown).as(what).isInstanceOf(CudaException.class);
      assertThat(((CudaException) thrown).code()).as(what).isEqualTo(error);
    } else {
      assertThat(failed).as(what).matches(UNREPORTED);
    }
    // what could not be freed stays; cudaGetDevice comes before every other call
    if (error != LAUNCH_FAILURE && !failed.matches("cudaFree.*|cuda.*Destroy|cudaGetDevice")) {
      assertThat(device.freeMemory()).as(what).isEqualTo(free);
      assertThat(CudaOnHost.objects()).as(what).isEqualTo(objects);
    }
    assertThat(program()).as("after " + what).isEqualTo(result);
    return !failed.isEmpty();
  }

  /** Uses everything once; returns what steps have made of the parameter. */
  private byte[] program() throws IOException {
    try (DeviceArena arena = DeviceArena.open(device);
        PinnedArena pinned = PinnedArena.open(device);
        CudaStream stream = CudaStream.create(device)) {
      MemorySegment host = pinned.allocate(4L * NUMEL);
      ParameterGroup group =
          ParameterGroup.builder()
              .lr(0.01)
              .decay(new SelectiveProjectionDecay(1))
              .parameter(parameter("w", arena, stream, host))
              .build();
      Parameter w = group.parameters().getFirst();
      Path file = folder.resolve("checkpoint");
      try (Adam adam = Adam.builder().group(group).stream(stream).build()) {
        adam.step();
        adam.stepClipped(1);
        adam.clipAndStep(1, 0.5);
        w.gradient(array(3, arena, stream, host));
        adam.stepParameter(w);
        adam.addParameter(group, parameter("v", arena, stream, host));
        group.lr(0.02);
        adam.step(2);
        adam.uploadSettings();
        try (CudaGraph graph = stream.capture(adam::step);
            CudaEvent begin = stream.record()) {
          stream.launch(graph);
          try (CudaEvent end = stream.record()) {
            stream.await(end);
            end.synchronize();
            assertThat(end.millisSince(begin)).isNotNegative();
          }
        }
        assertThat(adam.spdReports()).hasSize(2);
        assertThat(w.step()).isEqualTo(6);
        assertThat(adam.gradientNorm()).isPositive();
        adam.save(file);
      }
      ParameterGroup more =
          ParameterGroup.builder()
              .decay(new SelectiveProjectionDecay(1))
              .parameter(Parameter.of("w", w.data(), w.gradient(), w.anchor()))
              .parameter(parameter("v", arena, stream, host))
              .build();
      try (Adam adam = Adam.builder().group(more).stream(stream).restore(file).build()) {
        adam.step();
        assertThat(more.parameters().getFirst().step()).isEqualTo(7);
      }
      MemorySegment wrapped = arena.wrap(w.data().address(), 4L * NUMEL);
      stream.synchronize();
      Interpolation.interpolate(wrapped, w.anchor(), 0.25, wrapped);
      device.synchronize();
      stream.fill(w.gradient(), (byte) 0);
      stream.copy(wrapped, host);
      stream.synchronize();
      return host.toArray(JAVA_BYTE);
    }
  }

  private static Parameter parameter(
      String name, DeviceArena arena, CudaStream stream, MemorySegment host) {
    return Parameter.of(
        name,
        array(0, arena, stream, host),
        array(1, arena, stream, host),
        array(2, arena, stream, host));
  }

  private static MemorySegment array(
      int seed, DeviceArena arena, CudaStream stream, MemorySegment host) {
    for (int i = 0; i < NUMEL; i++) {
      host.setAtIndex(JAVA_FLOAT, i, (i * (seed + 3) % 17 - 8) * 0.125f);
    }
    MemorySegment array = arena.allocate(4L * NUMEL, 64);
    stream.copy(host, array);
    stream.synchronize();
    return array;
  }
}
