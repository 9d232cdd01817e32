package io.spd4j;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.ElementType.FLOAT16;
import static io.spd4j.ElementType.FLOAT32;

import io.spd4j.kernel.BlockTable;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A case that every backend must step correctly. {@link OneResult} compares it with plain Java,
 * {@link Float64OracleTest} with float64. To cover a new rule or type, add it to a list here.
 */
record StepCase(DecayRule rule, Types types, boolean amsgrad, boolean anchored, Sizes sizes) {
  /** The rules for all tests that run with every rule. */
  static final List<DecayRule> RULES =
      List.of(
          new NoDecay(),
          new WeightDecay(0.05),
          new L2SP(0.3),
          new L2SP(0.3, true),
          new SelectiveProjectionDecay(1),
          new SelectiveProjectionDecay(0.6),
          new CautiousDecay(0.3));

  /** What arrays are stored as. Each type occurs for each array. */
  static final List<Types> TYPES =
      List.of(
          Types.FLOAT32,
          new Types(BFLOAT16, true, FLOAT32, FLOAT32, MomentType.FLOAT32),
          new Types(BFLOAT16, true, BFLOAT16, BFLOAT16, MomentType.BLOCKWISE_8BIT),
          new Types(BFLOAT16, true, FLOAT16, FLOAT32, MomentType.BFLOAT16),
          new Types(BFLOAT16, false, BFLOAT16, BFLOAT16, MomentType.BFLOAT16),
          new Types(BFLOAT16, false, FLOAT32, FLOAT16, MomentType.BLOCKWISE_8BIT),
          new Types(FLOAT16, false, FLOAT16, FLOAT16, MomentType.FLOAT32),
          new Types(FLOAT16, false, BFLOAT16, FLOAT32, MomentType.BFLOAT16),
          new Types(FLOAT32, false, FLOAT32, FLOAT32, MomentType.BLOCKWISE_8BIT),
          new Types(FLOAT32, false, BFLOAT16, FLOAT16, MomentType.BFLOAT16));

  /**
   * The element types of the arrays.
   *
   * @param split whether the data is in two halves, of which the high one is the BFLOAT16 data
   * @param moments of all moments, whoever allocates them
   */
  record Types(
      ElementType data,
      boolean split,
      ElementType gradient,
      ElementType anchor,
      MomentType moments) {
    static final Types FLOAT32 =
        new Types(
            ElementType.FLOAT32,
            false,
            ElementType.FLOAT32,
            ElementType.FLOAT32,
            MomentType.FLOAT32);

    @Override
    public String toString() {
      return data + (split ? "+INT16 " : " ") + gradient + " " + anchor + " " + moments;
    }

    /** Returns the bytes of an array, without the low half. */
    long bytes(ParameterArray array, long numel) {
      return switch (array) {
        case DATA -> numel * data.byteSize();
        case GRADIENT -> numel * gradient.byteSize();
        case ANCHOR -> numel * anchor.byteSize();
        case EXP_AVG, EXP_AVG_SQ, MAX_EXP_AVG_SQ -> moments.byteSize(numel);
      };
    }

    /** Returns what addresses of an array are multiples of. */
    int unit(ParameterArray array) {
      return switch (array) {
        case DATA -> data.byteSize();
        case GRADIENT -> gradient.byteSize();
        case ANCHOR -> anchor.byteSize();
        case EXP_AVG, EXP_AVG_SQ, MAX_EXP_AVG_SQ -> moments == MomentType.BFLOAT16 ? 2 : 4;
      };
    }

    /** Returns a builder of a parameter over six arrays in the order of {@link ParameterArray}. */
    Parameter parameter(String name, MemorySegment low, MemorySegment... a) {
      return Parameter.builder(name, a[0], data)
          .low(low)
          .gradient(a[1], gradient)
          .anchor(a[2], anchor)
          .momentType(moments)
          .moments(a[3], a[4])
          .maxExpAvgSq(a[5])
          .build();
    }
  }

  /** The numbers of elements in a case's tensors. */
  enum Sizes {
    /** Sizes near vectors, lane rows and blocks, in arrays at various offsets from 64 bytes. */
    AWKWARD {
      @Override
      int[] numels() {
        Random random = new Random(17);
        return Stream.of(
                new int[] {0, 1, 2},
                around(16),
                around(64),
                around(128),
                around(BLOCK),
                around(3 * BLOCK),
                new int[] {40 * BLOCK + 1},
                random.ints(4, 0, 4 * BLOCK).toArray())
            .flatMapToInt(IntStream::of)
            .toArray();
      }
    },
    /** Sizes of arrays at multiples of 64 bytes: CUDA reads four elements at a time. */
    ALIGNED {
      @Override
      int[] numels() {
        return new int[] {1, 3, 4, 1023, 1024, BLOCK - 1, BLOCK, 9 * BLOCK + 6};
      }
    };

    private static final int BLOCK = BlockTable.BLOCK;

    abstract int[] numels();

    private static int[] around(int n) {
      return new int[] {n - 1, n, n + 1};
    }
  }

  /**
   * Returns every combination for float32. For the other types, each rule is stepped with one of
   * them: the combinations take turns.
   */
  static List<StepCase> all() {
    List<StepCase> all = new ArrayList<>();
    for (Types types : TYPES) {
      int turn = 0;
      for (DecayRule rule : RULES) {
        List<StepCase> cases = new ArrayList<>();
        for (Sizes sizes : Sizes.values()) {
          for (int flags = 0; flags < 4; flags++) {
            boolean amsgrad = flags % 2 == 1;
            if (!amsgrad || types.moments() != MomentType.BLOCKWISE_8BIT) {
              cases.add(new StepCase(rule, types, amsgrad, flags >= 2, sizes));
            }
          }
        }
        if (types == Types.FLOAT32) {
          all.addAll(cases);
        } else {
          all.add(cases.get(turn++ * 3 % cases.size()));
        }
      }
    }
    return all;
  }

  /** Returns a rule with another lambda, or the rule itself if it has no lambda. */
  static DecayRule at(DecayRule rule, double lambda) {
    return rule instanceof NoDecay ? rule : rule.withLambda(lambda);
  }

  /** Returns tensors of these types and sizes; half of them bring their moments. */
  Tensors tensors(long seed) {
    Tensors tensors = new Tensors(seed, types);
    for (int numel : sizes.numels()) {
      int i = tensors.parameters.size();
      int shift = sizes == Sizes.ALIGNED ? 0 : i + 1;
      int moments = i % 4 < 2 ? 0 : amsgrad ? 3 : 2;
      tensors.add("p" + i, numel, shift, anchored, moments);
    }
    return tensors;
  }

  /** Returns the tensors without those much larger than three blocks, for slow tests. */
  Tensors smallTensors(long seed) {
    Tensors tensors = tensors(seed);
    tensors.parameters.removeIf(p -> p.numel() > 3 * Sizes.BLOCK + 1);
    return tensors;
  }

  ParameterGroup.Builder group() {
    return ParameterGroup.builder()
        .lr(0.02)
        .betas(0.8, 0.95)
        .eps(1e-6)
        .decay(rule)
        .amsgrad(amsgrad);
  }

  /** Deals the tensors to two groups, one of which maximizes. */
  List<ParameterGroup> groups(Tensors tensors) {
    return Tensors.deal(tensors.parameters, List.of(group(), group().maximize(true)));
  }
}
