package io.spd4j;

import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.StepCase.Types;
import io.spd4j.cuda.CudaAvailable;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Checkpoints of device memory are those of host memory, and continue in either. */
@CudaAvailable
class CudaCheckpointTest {
  @TempDir private Path folder;
  @AutoClose private final Arena arena = Arena.ofShared();

  private static Adam adam(Adam.Builder builder, List<Parameter> parameters) {
    boolean amsgrad = parameters.getFirst().momentType() != MomentType.BLOCKWISE_8BIT;
    ParameterGroup.Builder first =
        ParameterGroup.builder().lr(0.01).decay(new SelectiveProjectionDecay(0.7)).amsgrad(amsgrad);
    ParameterGroup.Builder second = ParameterGroup.builder().lr(0.02).decay(new L2SP(0.3));
    Tensors.deal(parameters, List.of(first, second)).forEach(builder::group);
    return builder.build();
  }

  private static List<Parameter> twins(OnDevice device, List<Parameter> parameters) {
    return parameters.stream().map(device::twin).toList();
  }

  private byte[] saved(Adam adam) throws IOException {
    Path path = folder.resolve("compared");
    Checkpoint.of(adam).parameters(true).write(path);
    return Files.readAllBytes(path);
  }

  @ParameterizedTest
  @FieldSource("io.spd4j.StepCase#TYPES")
  void hostAndDeviceContinueEachOthersCheckpoints(Types types) throws IOException {
    try (Tensors tensors = new Tensors(23, types);
        OnDevice before = new OnDevice();
        OnDevice after = new OnDevice()) {
      for (int numel : new int[] {1, 63, 4100, 8192}) {
        tensors.add("p" + numel, numel, 0, numel % 2 == 0);
      }
      List<Parameter> unstepped = Tensors.twins(arena, tensors.parameters);
      Path fromHost = folder.resolve("host");
      Path fromDevice = folder.resolve("device");
      List<Adam> all = new ArrayList<>();
      try (Adam host = adam(Adam.builder().seed(3), tensors.parameters);
          Adam device =
              adam(
                  Adam.builder().seed(3).stream(before.stream),
                  twins(before, tensors.parameters))) {
        for (int step = 1; step <= 3; step++) {
          tensors.nextGradients();
          before.copyGradients();
          host.step();
          device.stepClipped(1e9);
        }
        Checkpoint.of(host).parameters(true).write(fromHost);
        Checkpoint.of(device).parameters(true).write(fromDevice);
        assertThat(host.spdReports()).isNotEmpty();
        assertThat(fromDevice).hasSameBinaryContentAs(fromHost);

        List<Parameter> hosts = Tensors.twins(arena, unstepped);
        try (Adam toDevice =
                adam(
                    Adam.builder().stream(after.stream).restore(fromHost),
                    twins(after, unstepped));
            Adam toHost = adam(Adam.builder().restore(fromDevice), hosts)) {
          all.addAll(List.of(host, device, toDevice, toHost));
          for (int step = 4; step <= 6; step++) {
            tensors.nextGradients();
            for (int i = 0; i < hosts.size(); i++) {
              MemorySegment gradient = tensors.parameters.get(i).gradient();
              hosts.get(i).gradient().copyFrom(gradient);
              unstepped.get(i).gradient().copyFrom(gradient);
            }
            before.copyGradients();
            after.copyGradients();
            all.forEach(Adam::step);
          }
          byte[] expected = saved(host);
          for (Adam other : all) {
            assertThat(saved(other)).isEqualTo(expected);
            assertThat(other.spdReports()).isEqualTo(host.spdReports());
            assertThat(State.steps(other)).containsOnly(6L);
          }
        }
      }
    }
  }

  @Test
  void anAnchorOnTheDeviceIsCompared() throws IOException {
    Path path = folder.resolve("state");
    try (OnDevice onDevice = new OnDevice()) {
      Parameter host = Tensors.parameter(arena, "w", 1, 5000);
      try (Adam adam = adam(Adam.builder(), List.of(onDevice.twin(host)))) {
        adam.step();
        adam.save(path);
      }
      Parameter other = Tensors.twin(arena, host);
      Parameter wrong =
          Parameter.of(
              "w", other.data(), other.gradient(), Tensors.random(arena, 77, host.numel()));
      String saved = crc(host);
      String actual = crc(wrong);
      illegalArgument(
          "the checkpoint %s does not fit: anchor of w: FLOAT32 %s, but in the checkpoint FLOAT32 %s"
              .formatted(path, actual, saved),
          () -> adam(Adam.builder().restore(path), List.of(onDevice.twin(wrong))));
    }
  }

  @Test
  void aCaptureCannotSave() {
    Path path = folder.resolve("state");
    try (OnDevice onDevice = new OnDevice();
        Adam adam =
            adam(
                Adam.builder().stream(onDevice.stream),
                List.of(onDevice.twin(Tensors.parameter(arena, "w", 1, 100))))) {
      adam.step();
      illegalState(
          "a capture can neither add parameters nor save: call addParameter and uploadSettings, or"
              + " save, before it",
          () -> onDevice.stream.capture(() -> save(adam, path)));
      assertThat(path).doesNotExist();
    }
  }

  private static void save(Adam adam, Path path) {
    try {
      adam.save(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String crc(Parameter p) {
    return new Tensor("", p.anchorType(), List.of(p.numel()), p.anchor()).crc32();
  }
}
