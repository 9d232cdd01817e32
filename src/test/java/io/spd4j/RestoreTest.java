package io.spd4j;

import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.SafetensorsWriter.Option;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A restore takes what fits, and says exactly what does not before it changes anything. */
class RestoreTest {
  private static final int NUMEL = 130;

  @TempDir private Path folder;
  @AutoClose private final Arena arena = Arena.ofShared();
  private Path path;

  @BeforeEach
  void save() throws IOException {
    path = folder.resolve("state.safetensors");
    try (Adam adam = Adam.builder().seed(4).group(group(p -> {}, "a", "b")).build()) {
      adam.step();
      Checkpoint.of(adam).parameters(true).write(path);
    }
  }

  private ParameterGroup group(Consumer<ParameterGroup.Builder> change, String... names) {
    ParameterGroup.Builder group =
        ParameterGroup.builder().lr(0.1).decay(new SelectiveProjectionDecay(1));
    for (String name : names) {
      group.parameter(Tensors.parameter(arena, name, name.charAt(0), NUMEL));
    }
    change.accept(group);
    return group.build();
  }

  /** Returns a float32 parameter's builder with the arrays that were saved for it. */
  private Parameter.Builder builder(String name) {
    Parameter p = Tensors.parameter(arena, name, name.charAt(0), NUMEL);
    return Parameter.builder(name, p.data()).gradient(p.gradient()).anchor(p.anchor());
  }

  private ParameterGroup groupOf(Parameter... parameters) {
    return group(g -> g.parameters(List.of(parameters)));
  }

  /** Asserts that a restore is refused with this fault, and that nothing has changed. */
  private void refused(String faults, ParameterGroup... groups) throws IOException {
    Adam.Builder builder = Adam.builder().restore(path);
    for (ParameterGroup group : groups) {
      builder.group(group);
    }
    refused(faults, builder, groups);
  }

  private void refused(String faults, Adam.Builder builder, ParameterGroup... groups) {
    List<Parameter> parameters = new ArrayList<>();
    List.of(groups).forEach(group -> parameters.addAll(group.parameters()));
    var before = State.arrays(parameters);
    illegalArgument("the checkpoint " + path + " does not fit: " + faults, builder::build);
    assertThat(State.arrays(parameters)).isEqualTo(before);
    for (ParameterGroup group : groups) {
      assertThat(group.lr()).isEqualTo(0.1);
      group.parameters().forEach(p -> assertThat(p.owner()).isNull());
    }
  }

  @Test
  void namesMustBeTheSame() throws IOException {
    refused("b is in the checkpoint, but in no group", group(g -> {}, "a"));
    refused("c is not in the checkpoint", group(g -> {}, "a", "b", "c"));
    refused(
        "b is in the checkpoint, but in no group; c is not in the checkpoint",
        group(g -> {}, "a", "c"));
    refused(
        "the parameters of group 0 are [b, a], but in the checkpoint [a, b]",
        group(g -> {}, "b", "a"));
    refused(
        "number of groups: 2, but in the checkpoint 1", group(g -> {}, "a"), group(g -> {}, "b"));
  }

  @Test
  void aLongListOfFaultsIsCut() throws IOException {
    String[] names = IntStream.range(0, 30).mapToObj(i -> "c" + i).toArray(String[]::new);
    String listed =
        String.join(
            "; ",
            IntStream.range(0, 18).mapToObj(i -> "c" + i + " is not in the checkpoint").toList());
    refused(
        "a is in the checkpoint, but in no group; b is in the checkpoint, but in no group; "
            + listed
            + "; and 12 more",
        group(g -> {}, names));
  }

  @Test
  void aLongNameIsCut() throws IOException {
    String start = "c".repeat(500);
    refused(
        "a is in the checkpoint, but in no group; b is in the checkpoint, but in no group; "
            + start
            + "...",
        group(g -> {}, start + "c"));
  }

  @Test
  void fixedSettingsMustBeTheSame() throws IOException {
    refused(
        "beta1 of group 0: 0.8, but in the checkpoint 0.9; "
            + "beta2 of group 0: 0.99, but in the checkpoint 0.999; "
            + "eps of group 0: 1.0E-6, but in the checkpoint 1.0E-8; "
            + "amsgrad of group 0: true, but in the checkpoint false; "
            + "maximize of group 0: true, but in the checkpoint false",
        group(g -> g.betas(0.8, 0.99).eps(1e-6).amsgrad(true).maximize(true), "a", "b"));
    ParameterGroup group = group(g -> {}, "a", "b");
    refused(
        "seed: 5, but in the checkpoint 4",
        Adam.builder().group(group).seed(5).restore(path),
        group);
    ParameterGroup same = group(g -> {}, "a", "b");
    Adam.builder().group(same).seed(4).restore(path).build().close();
  }

  @Test
  void sizesAndTypesMustBeTheSame() throws IOException {
    Parameter b = builder("b").build();
    refused(
        "numel of a: 131, but in the checkpoint 130; "
            + "anchor of a: none, but in the checkpoint FLOAT32 "
            + crc(builder("a").build()),
        groupOf(
            Parameter.of("a", Tensors.random(arena, 1, 131), Tensors.random(arena, 1, 131)), b));
    MemorySegment low = arena.allocate(2 * NUMEL, 64);
    refused(
        "type of a: BFLOAT16, but in the checkpoint FLOAT32; "
            + "low halves of a: given, but in the checkpoint none; "
            + "moment type of a: BLOCKWISE_8BIT, but in the checkpoint FLOAT32; "
            + "anchor of a: none, but in the checkpoint FLOAT32 "
            + crc(builder("a").build()),
        groupOf(
            Parameter.builder("a", arena.allocate(2 * NUMEL, 64), ElementType.BFLOAT16)
                .low(low)
                .momentType(MomentType.BLOCKWISE_8BIT)
                .build(),
            builder("b").build()));
  }

  private static String crc(Parameter p) {
    return new Tensor("", p.anchorType(), List.of(p.numel()), p.anchor()).crc32();
  }

  @Test
  void anchorsMustBeTheSameToTheBit() throws IOException {
    Parameter a = builder("a").build();
    String saved = crc(a);
    Random random = new Random(3);
    for (int i = 0; i < 20; i++) {
      Parameter other = builder("a").build();
      long at = i == 0 ? 4 * NUMEL - 1 : random.nextInt(4 * NUMEL);
      byte value = other.anchor().get(ValueLayout.JAVA_BYTE, at);
      other.anchor().set(ValueLayout.JAVA_BYTE, at, (byte) (value ^ 1));
      refused(
          "anchor of a: FLOAT32 %s, but in the checkpoint FLOAT32 %s".formatted(crc(other), saved),
          groupOf(other, builder("b").build()));
    }
    MemorySegment bits = a.anchor().asSlice(0, 2 * NUMEL);
    Parameter typed = Parameter.builder("a", a.data()).anchor(bits, ElementType.FLOAT16).build();
    refused(
        "anchor of a: FLOAT16 %s, but in the checkpoint FLOAT32 %s".formatted(crc(typed), saved),
        groupOf(typed, builder("b").build()));
  }

  /** What no optimizer wrote is refused before the arrays are written. */
  @ParameterizedTest
  @CsvSource({
    "lr\":0.1, lr\":-0.1, 'lr must be 0 or more, not -0.1'",
    "lr\":0.1, lr\":1e99, 'lr must be finite in float32, not 1.0E99'",
    "lambda\":1.0, lambda\":-1.0, 'lambda must be 0 or more, not -1.0'",
    "seed\":4, seed\":4.5, its seed is 4.5",
    "version\":1, version\":18446744073709551617, its version is 18446744073709551617",
  })
  void settingsOfTheFileMustBeValid(String text, String changed, String fault) throws IOException {
    try (Arena own = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(path, own);
      Map<String, String> metadata = new HashMap<>(file.metadata());
      metadata.compute("spd4j.checkpoint", (key, json) -> json.replace(text, changed));
      assertThat(metadata).isNotEqualTo(file.metadata());
      SafetensorsWriter.write(path, file.tensors().values(), metadata, Option.CHECKSUM);
    }
    ParameterGroup group = group(g -> {}, "a", "b");
    var before = State.arrays(group.parameters());
    assertThatThrownBy(() -> Adam.builder().group(group).restore(path).build())
        .isInstanceOf(CheckpointException.class)
        .hasMessage(path + ": the checkpoint cannot be used: " + fault);
    assertThat(State.arrays(group.parameters())).isEqualTo(before);
  }

  @Test
  void thereMustBeAccess() throws IOException {
    ParameterGroup group = group(g -> {}, "a", "b");
    Checkpoint gone;
    try (Arena closed = Arena.ofConfined()) {
      gone = Checkpoint.read(path, closed);
      assertThat(gone.step("a")).isEqualTo(1);
    }
    illegalState(
        "the arena of the checkpoint " + path + " is closed",
        () -> Adam.builder().group(group).restore(gone).build());
    Parameter[] elsewhere = new Parameter[1];
    Thread other =
        new Thread(() -> {
          MemorySegment data = Arena.ofConfined().allocate(4 * NUMEL, 64);
          elsewhere[0] = Parameter.builder("a", data).anchor(builder("a").build().anchor()).build();
        });
    other.start();
    assertThatThrownBy(
            () -> {
              other.join();
              Adam.builder()
                  .group(groupOf(elsewhere[0], builder("b").build()))
                  .restore(path)
                  .build();
            })
        .isInstanceOf(WrongThreadException.class)
        .hasMessage("data of a lies in a confined arena of another thread");
    group.parameters().forEach(p -> assertThat(p.owner()).isNull());
  }

  @Test
  void withoutParametersTheCallersStay() throws IOException {
    try (Adam adam = Adam.builder().group(group(g -> {}, "a", "b")).build()) {
      adam.step();
      adam.save(path);
    }
    ParameterGroup group = group(g -> {}, "a", "b");
    var before = State.arrays(group.parameters());
    try (Adam adam = Adam.builder().group(group).restore(path).build()) {
      assertThat(State.arrays(group.parameters())).containsAllEntriesOf(before);
      assertThat(State.steps(adam)).containsExactly(1L, 1L);
    }
  }

  /** As a script would write it from the state of torch's AdamW. */
  @Test
  void aFileOfOthersHasMomentsAndSteps() throws IOException {
    MemorySegment m = Tensors.random(arena, 1, NUMEL);
    MemorySegment v = Tensors.random(arena, 2, NUMEL);
    List<Tensor> tensors = new ArrayList<>();
    for (String name : List.of("b", "a")) {
      tensors.add(new Tensor(name + ".exp_avg", ElementType.FLOAT32, List.of(13L, 10L), m));
      tensors.add(new Tensor(name + ".exp_avg_sq", ElementType.FLOAT32, List.of(13L, 10L), v));
    }
    MemorySegment step = MemorySegment.ofArray(new float[] {7});
    tensors.add(new Tensor("a.step", ElementType.FLOAT32, List.of(), step));
    write(tensors);
    refused("b.step is missing", group(g -> {}, "a", "b"));

    MemorySegment half = MemorySegment.ofArray(new double[] {7.5});
    Tensor wrong = new Tensor("b.step", ElementType.FLOAT64, List.of(1L), half);
    tensors.add(wrong);
    write(tensors);
    refused("b.step is not a count of steps", group(g -> {}, "a", "b"));

    half.set(ValueLayout.JAVA_DOUBLE, 0, 0x1p53 + 2);
    write(tensors);
    refused("b.step is not a count of steps", group(g -> {}, "a", "b"));

    half.set(ValueLayout.JAVA_DOUBLE, 0, 0x1p53);
    double[] spd = {1, Long.MAX_VALUE, 1, 0, 0, 0, 0, 0};
    Tensor decision =
        new Tensor("b.spd", ElementType.FLOAT64, List.of(8L), MemorySegment.ofArray(spd));
    tensors.add(decision);
    write(tensors);
    refused("b.spd is not a decision of SPD", group(g -> {}, "a", "b"));

    tensors.removeAll(List.of(wrong, decision));
    MemorySegment nine = MemorySegment.ofArray(new long[] {9});
    tensors.add(new Tensor("b.step", ElementType.INT64, List.of(1L), nine));
    write(tensors);
    refused("c is not in the checkpoint", group(g -> {}, "a", "b", "c"));
    refused("b is in the checkpoint, but in no group", group(g -> {}, "a"));
    refused(
        "a.max_exp_avg_sq is missing; b.max_exp_avg_sq is missing",
        group(g -> g.amsgrad(true), "a", "b"));
    refused(
        "a.exp_avg: 130 elements of BFLOAT16, but in the checkpoint 130 of FLOAT32; "
            + "a.exp_avg_sq: 130 elements of BFLOAT16, but in the checkpoint 130 of FLOAT32",
        groupOf(builder("a").momentType(MomentType.BFLOAT16).build(), builder("b").build()));

    ParameterGroup group = group(g -> g.betas(0.5, 0.6), "a", "b"); // in any order
    try (Adam adam = Adam.builder().seed(3).group(group).restore(path).build()) {
      assertThat(State.steps(adam)).containsExactly(7L, 9L);
      assertThat(group.lr()).isEqualTo(0.1);
      assertThat(adam.seed()).isEqualTo(3);
      for (Parameter p : group.parameters()) {
        assertThat(p.expAvg().mismatch(m)).isEqualTo(-1);
        assertThat(p.expAvgSq().mismatch(v)).isEqualTo(-1);
      }
    }
    for (Parameter p : group.parameters()) {
      MemorySegment data = Tensors.random(arena, 5 + p.name().charAt(0), NUMEL);
      tensors.add(new Tensor(p.name(), ElementType.FLOAT32, List.of((long) NUMEL), data));
    }
    write(tensors);
    ParameterGroup again = group(g -> {}, "a", "b");
    try (Adam adam = Adam.builder().group(again).restore(path).build()) {
      for (Parameter p : adam.parameters()) {
        MemorySegment expected = Tensors.random(arena, 5 + p.name().charAt(0), NUMEL);
        assertThat(p.data().mismatch(expected)).isEqualTo(-1);
      }
    }
  }

  private void write(List<Tensor> tensors) throws IOException {
    SafetensorsWriter.write(path, tensors, Map.of());
  }
}
