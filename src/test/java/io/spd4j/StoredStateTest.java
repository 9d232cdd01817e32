package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.StepCase.Types;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** A training that was saved and loaded continues with the bits of one that was not interrupted. */
class StoredStateTest {
  private static final long SEED = 12;

  @TempDir private Path folder;
  @AutoClose private final Arena arena = Arena.ofShared();

  private static Adam adam(List<Parameter> parameters, Adam.Builder builder) {
    Parameter first = parameters.getFirst();
    ParameterGroup group =
        ParameterGroup.builder()
            .lr(0.01)
            .decay(new SelectiveProjectionDecay(0.7))
            .amsgrad(first.momentType() != MomentType.BLOCKWISE_8BIT)
            .parameters(parameters)
            .build();
    return builder.group(group).seed(SEED).build();
  }

  @ParameterizedTest
  @FieldSource("io.spd4j.StepCase#TYPES")
  void trainingContinuesWithTheSameBits(Types types) throws IOException {
    try (Tensors tensors = new Tensors(19, types)) {
      for (int numel : new int[] {1, 63, 130, 4100, 8192}) {
        tensors.add("p" + numel, numel, 0, numel % 2 == 0);
      }
      List<Parameter> copies = Tensors.twins(arena, tensors.parameters);
      Path file = folder.resolve("state.safetensors");
      try (Adam adam = adam(tensors.parameters, Adam.builder());
          Adam interrupted = adam(copies, Adam.builder().threads(1))) {
        for (int step = 1; step <= 3; step++) {
          tensors.nextGradients();
          copyGradients(tensors.parameters, copies);
          adam.step();
          interrupted.step();
        }
        save(interrupted.parameters(), file);
        State saved = State.ofTraining(interrupted);
        // What was saved is in the file: the optimizer's own arrays no longer matter.
        interrupted.parameters().forEach(StoredStateTest::scribble);
        List<Parameter> loaded = load(file, tensors.parameters);
        List<List<Parameter>> continued = new ArrayList<>();
        List<Adam> adams = new ArrayList<>();
        for (Kernels kernels : AllKernels.list()) {
          continued.add(Tensors.twins(arena, loaded));
          adams.add(adam(continued.getLast(), Adam.builder().kernels(kernels).threads(2)));
          assertThat(State.ofTraining(adams.getLast())).isEqualTo(saved);
        }
        for (int step = 4; step <= 6; step++) {
          tensors.nextGradients();
          continued.forEach(parameters -> copyGradients(tensors.parameters, parameters));
          adam.step();
          adams.forEach(Adam::step);
        }
        State expected = State.ofTraining(adam);
        for (Adam other : adams) {
          assertThat(State.ofTraining(other)).isEqualTo(expected);
          other.close();
        }
      }
    }
  }

  private static void copyGradients(List<Parameter> from, List<Parameter> to) {
    for (int i = 0; i < from.size(); i++) {
      to.get(i).gradient().copyFrom(from.get(i).gradient());
    }
  }

  private static void scribble(Parameter p) {
    for (MemorySegment array :
        new MemorySegment[] {p.data(), p.low(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq()}) {
      if (array != null) {
        array.fill((byte) 0x55);
      }
    }
  }

  private static void save(List<Parameter> parameters, Path file) throws IOException {
    List<Tensor> tensors = new ArrayList<>();
    for (Parameter p : parameters) {
      long numel = p.numel();
      tensors.add(new Tensor(p.name(), p.type(), List.of(numel), p.data()));
      if (p.low() != null) {
        tensors.add(new Tensor(p.name() + ".low", ElementType.INT16, List.of(numel), p.low()));
      }
      ElementType type = momentElements(p.momentType());
      add(tensors, p.name() + ".exp_avg", type, p.expAvg());
      add(tensors, p.name() + ".exp_avg_sq", type, p.expAvgSq());
      add(tensors, p.name() + ".max_exp_avg_sq", type, p.maxExpAvgSq());
    }
    String step = Long.toString(parameters.getFirst().step());
    SafetensorsWriter.write(file, tensors, Map.of("step", step));
  }

  private static ElementType momentElements(MomentType type) {
    return switch (type) {
      case FLOAT32 -> ElementType.FLOAT32;
      case BFLOAT16 -> ElementType.BFLOAT16;
      case BLOCKWISE_8BIT -> ElementType.UINT8;
    };
  }

  private static void add(
      List<Tensor> tensors, String name, ElementType type, MemorySegment array) {
    if (array != null) {
      tensors.add(new Tensor(name, type, List.of(array.byteSize() / type.byteSize()), array));
    }
  }

  /** Loads parameters whose gradients, anchors and types are those of others. */
  private List<Parameter> load(Path file, List<Parameter> like) throws IOException {
    SafetensorsFile saved = SafetensorsFile.map(file, arena);
    List<Parameter> parameters = new ArrayList<>();
    for (Parameter p : like) {
      parameters.add(
          Parameter.builder(p.name(), array(saved, p.name()), saved.tensor(p.name()).dtype())
              .low(p.low() == null ? null : array(saved, p.name() + ".low"))
              .gradient(Tensors.copy(arena, p.gradient()), p.gradientType())
              .anchor(p.anchor(), p.anchorType())
              .momentType(p.momentType())
              .moments(array(saved, p.name() + ".exp_avg"), array(saved, p.name() + ".exp_avg_sq"))
              .maxExpAvgSq(
                  p.maxExpAvgSq() == null ? null : array(saved, p.name() + ".max_exp_avg_sq"))
              .step(Long.parseLong(saved.metadata().get("step")))
              .build());
    }
    return parameters;
  }

  private MemorySegment array(SafetensorsFile saved, String name) {
    return Tensors.copy(arena, saved.tensor(name).data());
  }

  /** A mapped file's tensors serve as anchors as they are. */
  @Test
  void aMappedTensorIsAnAnchor() throws IOException {
    for (ElementType type :
        new ElementType[] {ElementType.FLOAT32, ElementType.BFLOAT16, ElementType.FLOAT16}) {
      Types types = new Types(type, false, type, type, MomentType.BFLOAT16);
      try (Tensors tensors = new Tensors(5, types)) {
        Parameter p = tensors.add("w", 4133, 0, true);
        Path file = folder.resolve(type + ".safetensors");
        SafetensorsWriter.write(
            file, List.of(new Tensor("w", type, List.of(4133L), p.anchor())), Map.of());
        Tensor mapped = SafetensorsFile.map(file, arena).tensor("w");
        assertThat(mapped.data().isReadOnly()).isTrue();
        Parameter other =
            Parameter.builder("w", Tensors.copy(arena, p.data()), type)
                .gradient(p.gradient(), type)
                .anchor(mapped.data(), mapped.dtype())
                .momentType(MomentType.BFLOAT16)
                .build();
        try (Adam a = adam(List.of(p), Adam.builder());
            Adam b = adam(List.of(other), Adam.builder())) {
          for (int step = 0; step < 3; step++) {
            a.step();
            b.step();
          }
          assertThat(State.of(b)).isEqualTo(State.of(a));
        }
      }
    }
  }
}
