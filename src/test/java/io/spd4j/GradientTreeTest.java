package io.spd4j;

import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class GradientTreeTest {
  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
  }

  private Parameter parameter(String name, int numel, ElementType type) {
    MemorySegment gradient = arena.allocate((long) numel * type.byteSize(), 4);
    return Parameter.builder(name, arena.allocate(numel * 4L, 4)).gradient(gradient, type).build();
  }

  /** Returns the sum of the values [begin, end), a power of two, in pairs. */
  private static float sum(float[] values, int begin, int end) {
    int middle = (begin + end) / 2;
    return end - begin == 1 ? values[begin] : sum(values, begin, middle) + sum(values, middle, end);
  }

  @Test
  void addsInPairs() {
    Random random = new Random(1);
    Parameter p = parameter("p", 3, ElementType.FLOAT32);
    boolean orderMatters = false;
    for (int subBatches : new int[] {1, 2, 8, 32}) {
      try (GradientTree tree = GradientTree.of(List.of(p), subBatches)) {
        for (int batch = 0; batch < 20; batch++) {
          float[] values = new float[subBatches];
          float inOrder = 0;
          for (int v = 0; v < subBatches; v++) {
            values[v] = random.nextFloat();
            inOrder += values[v];
            p.gradient().fill((byte) 0);
            p.gradient().setAtIndex(JAVA_FLOAT, 2, values[v]);
            tree.add();
          }
          float expected = sum(values, 0, subBatches);
          assertThat(p.gradient().getAtIndex(JAVA_FLOAT, 2)).isEqualTo(expected);
          assertThat(p.gradient().getAtIndex(JAVA_FLOAT, 0)).isZero();
          orderMatters |= expected != inOrder;
        }
      }
    }
    assertThat(orderMatters).isTrue();
  }

  /** 256 + 1 + 1 + 1 is 256 in bfloat16, as 257 is rounded to even, but the tree adds 256 and 2. */
  @Test
  void sixteenBitsAreRoundedAtEachNode() {
    Parameter bfloat16 = parameter("b", 1, ElementType.BFLOAT16);
    Parameter float16 = parameter("h", 1, ElementType.FLOAT16);
    try (GradientTree tree = GradientTree.of(List.of(bfloat16, float16), 4)) {
      for (int v = 0; v < 4; v++) {
        Tensors.set(bfloat16.gradient(), ElementType.BFLOAT16, 0, v == 0 ? 256 : 1);
        Tensors.set(float16.gradient(), ElementType.FLOAT16, 0, v == 0 ? 2048 : 1);
        tree.add();
      }
      assertThat(Tensors.get(bfloat16.gradient(), ElementType.BFLOAT16, 0)).isEqualTo(258);
      assertThat(Tensors.get(float16.gradient(), ElementType.FLOAT16, 0)).isEqualTo(2050);
      for (int v = 0; v < 4; v++) {
        Tensors.set(bfloat16.gradient(), ElementType.BFLOAT16, 0, v == 2 ? Float.NaN : 1);
        Tensors.set(float16.gradient(), ElementType.FLOAT16, 0, 65504);
        tree.add();
      }
      assertThat(bfloat16.gradient().get(JAVA_SHORT, 0)).isEqualTo((short) 0x7fc0);
      assertThat(float16.gradient().get(JAVA_SHORT, 0)).isEqualTo((short) 0x7c00);
    }
  }

  @Test
  void aRankOwnsASubtree() {
    ThreadRanks.run(
        4,
        ranks -> {
          try (GradientTree tree = GradientTree.of(List.of(), 16, ranks)) {
            assertThat(tree.begin()).isEqualTo(4 * ranks.rank());
            assertThat(tree.end()).isEqualTo(tree.begin() + 4);
          }
          illegalArgument(
              "subBatches must be a power of two and at least the number of ranks, 4, not 2",
              () -> GradientTree.of(List.of(), 2, ranks));
          return null;
        });
  }

  @Test
  void restartForgetsABatch() {
    Parameter p = parameter("p", 1, ElementType.FLOAT32);
    try (GradientTree tree = GradientTree.of(List.of(p), 2)) {
      p.gradient().set(JAVA_FLOAT, 0, 100);
      tree.add();
      tree.restart();
      p.gradient().set(JAVA_FLOAT, 0, 1);
      tree.add();
      p.gradient().set(JAVA_FLOAT, 0, 2);
      tree.add();
      assertThat(p.gradient().get(JAVA_FLOAT, 0)).isEqualTo(3);
    }
  }

  @Test
  void gradientsThatComeAndGo() {
    Parameter p = parameter("p", 1, ElementType.FLOAT32);
    Parameter q = parameter("q", 1, ElementType.FLOAT32);
    MemorySegment gradient = p.gradient();
    try (GradientTree tree = GradientTree.of(List.of(p, q), 2)) {
      tree.add();
      p.gradient(null);
      illegalState("p lost its gradient within a batch", tree::add);
      p.gradient(gradient);
      tree.add();
      p.gradient(null);
      tree.add();
      p.gradient(gradient);
      illegalState("p got its gradient within a batch", tree::add);
      tree.restart();
      q.gradient(arena.allocate(4, 4).asReadOnly());
      illegalArgument("gradient of q is read-only, but is written", tree::add);
    }
  }

  @Test
  void partsOfASubBatchAddUpAlike() {
    Random random = new Random(2);
    Parameter p = parameter("p", 2, ElementType.FLOAT32);
    Parameter q = parameter("q", 3, ElementType.FLOAT32);
    Parameter r = parameter("r", 1, ElementType.FLOAT32);
    List<Parameter> all = List.of(p, q, r);
    try (GradientTree whole = GradientTree.of(all, 4);
        GradientTree parts = GradientTree.of(all, 4)) {
      for (int batch = 0; batch < 3; batch++) {
        float[] values = new float[4];
        for (int v = 0; v < 4; v++) {
          values[v] = random.nextFloat();
          for (Parameter one : all) {
            one.gradient().setAtIndex(JAVA_FLOAT, one.numel() - 1, values[v]);
          }
          assertThat(parts.add(List.of(r, p))).isEqualTo(v == 3);
          assertThat(parts.add(List.of())).isEqualTo(v == 3);
          if (v == 3) { // q is not taken yet
            assertThat(q.gradient().getAtIndex(JAVA_FLOAT, 2)).isEqualTo(values[3]);
            assertThat(p.gradient().getAtIndex(JAVA_FLOAT, 1)).isEqualTo(sum(values, 0, 4));
          }
          parts.add();
        }
        for (Parameter one : all) {
          assertThat(one.gradient().getAtIndex(JAVA_FLOAT, one.numel() - 1))
              .isEqualTo(sum(values, 0, 4));
        }
      }
      whole.add(all);
      illegalState("q was added already in this sub-batch", () -> whole.add(List.of(q, p)));
      whole.restart();
      whole.add(List.of(p));
      illegalArgument("a parameter is given twice", () -> whole.add(List.of(q, q)));
      illegalArgument(
          "s is not a parameter of this tree",
          () -> whole.add(List.of(q, parameter("s", 1, ElementType.FLOAT32))));
      q.gradient(null);
      whole.add();
      illegalState(
          "r lost its gradient within a batch",
          () -> {
            r.gradient(null);
            whole.add(List.of(p, r));
          });
      whole.add(List.of(p)); // it was not taken
    }
  }

  /** Nobody computes their gradients anew: they would grow from batch to batch. */
  @Test
  void frozenGroupsAreLeftOut() {
    Parameter p = parameter("p", 1, ElementType.FLOAT32);
    Parameter q = parameter("q", 1, ElementType.FLOAT32);
    p.gradient().set(JAVA_FLOAT, 0, 5);
    try (Adam adam =
            Adam.builder()
                .threads(1)
                .group(0.1, new NoDecay(), List.of(p))
                .group(0.1, new NoDecay(), List.of(q))
                .build();
        GradientTree tree = GradientTree.of(List.of(p, q), 4)) {
      ParameterGroup group = adam.groups().getFirst();
      group.frozen(true);
      for (int v = 0; v < 4; v++) {
        q.gradient().set(JAVA_FLOAT, 0, 1);
        tree.add();
      }
      assertThat(p.gradient().get(JAVA_FLOAT, 0)).isEqualTo(5);
      assertThat(q.gradient().get(JAVA_FLOAT, 0)).isEqualTo(4);
      tree.add();
      group.frozen(false);
      illegalState("p was unfrozen within a batch", tree::add);
      tree.restart();
      tree.add();
      group.frozen(true);
      illegalState("p was frozen within a batch", tree::add);
      group.frozen(false);
      tree.add();
    }
  }

  @Test
  void misuse() {
    Parameter p = parameter("p", 1, ElementType.FLOAT32);
    illegalArgument(
        "subBatches must be a power of two and at least the number of ranks, 1, not 6",
        () -> GradientTree.of(List.of(p), 6));
    illegalArgument(
        "subBatches must be a power of two and at least the number of ranks, 1, not 0",
        () -> GradientTree.of(List.of(p), 0));
    illegalArgument("a parameter is given twice", () -> GradientTree.of(List.of(p, p), 2));
    GradientTree tree = GradientTree.of(List.of(p), 2);
    tree.close();
    tree.close();
    illegalState("the tree is closed", tree::add);
  }
}
