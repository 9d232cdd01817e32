package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.spd4j.ShardTransfers.Span;
import io.spd4j.kernel.Exchange;
import io.spd4j.kernel.Shards;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/** What one rank's optimizer exchanges with the others: each steps a shard of the parameters. */
final class ShardExchange implements Exchange {
  /** The most bytes of the buffers that one transfer sends, unless there are very many ranks. */
  private static final long BUFFER = 1 << 24;

  /** The most bytes that a rank sends to another at once. */
  private static final long MOST = 1 << 20;

  private static final long LEAST = 1 << 12;

  /** Which part of the gradients' bytes may be under way in the background. */
  private static final long BACKGROUND = 4;

  /** What ranks tell each other before they step, or send gradients in the background. */
  private static final List<String> SAME =
      List.of(
          "whether they step or announce gradients",
          "which gradients they announced by gradientsReady, or in which order",
          "which parameters have a gradient and are not frozen",
          "the settings of the groups",
          "the kind of step, its gradScale or its maxNorm");

  private final Ranks ranks;
  private final ParameterGroup[] groups;
  private final List<Parameter> parameters;
  private final Shards shards;
  private final ShardTransfers transfers;

  /** The gradients' bytes that may be under way in the background. */
  private final long background;

  /** What this rank tells the others, and what all tell. */
  private final MemorySegment told;

  private final MemorySegment allTold;

  /** The announcement that this rank has told, but not compared yet; null if there is none. */
  private Announcement announcement;

  /** Which parameters are announced for the next step. */
  private final boolean[] announced;

  /** A hash of the parameters that all ranks announced, in order. */
  private long announcedHash;

  /** By parameter, the totals of this rank's shard, if it was ever announced. */
  private final MemorySegment[] totals;

  private final Arena totalsArena = Arena.ofShared();

  /**
   * @param hash of all that is announced with it
   */
  private record Announcement(int[] which, long hash, Ranks.Transfer telling) {}

  /**
   * @param parameters of all groups, in order
   * @param limit the most bytes that a rank sends to another at once, a multiple of 8; 0 for the
   *     usual number
   * @throws OutOfMemoryError if there is no memory for what is under way
   */
  ShardExchange(Ranks ranks, ParameterGroup[] groups, List<Parameter> parameters, long limit) {
    this.ranks = ranks;
    this.groups = groups;
    this.parameters = parameters;
    shards =
        new Shards(
            parameters.stream().mapToLong(Parameter::numel).toArray(), ranks.rank(), ranks.size());
    long usual = Math.clamp(BUFFER / ranks.size(), LEAST, MOST);
    long bytes = parameters.stream().mapToLong(p -> p.numel() * p.gradientType().byteSize()).sum();
    background = bytes / BACKGROUND;
    announced = new boolean[parameters.size()];
    totals = new MemorySegment[parameters.size()];
    transfers = new ShardTransfers(ranks, limit > 0 ? limit : usual);
    told = transfers.longs(SAME.size());
    allTold = transfers.longs(SAME.size() * ranks.size());
  }

  @Override
  public Shards shards() {
    return shards;
  }

  /** Returns this rank's elements of a parameter's array. */
  MemorySegment shard(int parameter, MemorySegment array, ElementType type) {
    long begin = shards.begin(parameter, ranks.rank());
    long numel = shards.end(parameter, ranks.rank()) - begin;
    return array.asSlice(begin * type.byteSize(), numel * type.byteSize());
  }

  boolean isFirst() {
    return ranks.rank() == 0;
  }

  /** Returns whether a parameter's gradient is announced for the next step. */
  boolean isAnnounced(Parameter parameter) {
    return announced[parameter.index()];
  }

  /**
   * Announces gradients that the next step adds up, and has them sent in the background. They are
   * sent once the ranks agree, which is looked up when this is called again, or by the step: by
   * then the others have usually told what they announce.
   *
   * @param ready different parameters; those without a gradient and frozen ones are left out
   * @throws IllegalArgumentException if one is announced already
   * @throws IllegalStateException if the ranks differ in the announcement before: then it is taken
   *     back, and this one is not made
   * @throws OutOfMemoryError if there is no memory for it; nothing has changed
   */
  void announce(List<Parameter> ready) {
    for (Parameter p : ready) {
      if (isAnnounced(p)) {
        throw new IllegalArgumentException(p.name() + " is announced twice for one step");
      }
    }
    int[] which =
        ready.stream()
            .filter(p -> p.gradient() != null && !p.isFrozen())
            .mapToInt(Parameter::index)
            .sorted()
            .toArray();
    transfers.checkSound();
    checkAccess(which);
    allocate(which);
    sendAnnounced();
    long hash = mixed(announcedHash, -1);
    for (int t : which) {
      hash = mixed(hash, t);
    }
    announcement = new Announcement(which, hash, tell(0, hash, 0, 0, 0));
    mark(which, true);
    transfers.poll();
  }

  /** Allocates what these parameters need in the background. */
  private void allocate(int[] which) {
    transfers.reserve(background);
    for (int t : which) {
      if (totals[t] == null) {
        totals[t] = totalsArena.allocate(own(t).byteSize(), 64);
      }
    }
  }

  private void mark(int[] which, boolean announced) {
    for (int t : which) {
      this.announced[t] = announced;
    }
  }

  /** Compares the last announcement with those of the other ranks, and starts to send it. */
  private void sendAnnounced() {
    transfers.checkSound();
    if (announcement == null) {
      return;
    }
    Announcement last = announcement;
    checkAccess(last.which);
    announcement = null;
    mark(last.which, false);
    compare(last.telling);
    mark(last.which, true);
    announcedHash = last.hash;
    transfers.startToAdd(gradientSpans(last.which), totals(last.which));
  }

  /**
   * Waits for what was announced and not stepped, as other ranks wait for this one's part. Then
   * frees the memory. Closing twice does nothing.
   */
  void close() {
    if (!totalsArena.scope().isAlive()) {
      return;
    }
    try {
      if (announcement != null) {
        announcement.telling.await();
      }
    } catch (RuntimeException e) {
      // Another rank has left, which needs nothing.
    } finally {
      totalsArena.close();
      transfers.close();
    }
  }

  /** Returns where the totals of this rank's shard of some gradients are written. */
  private List<Span> totals(int[] which) {
    List<Span> spans = new ArrayList<>();
    for (int t : which) {
      long bytes = totals[t].byteSize();
      if (bytes > 0) {
        spans.add(new Span(totals[t], 0, bytes, parameters.get(t).gradientType()));
      }
    }
    return spans;
  }

  /** Returns this rank's elements of a gradient. */
  private MemorySegment own(int parameter) {
    Parameter p = parameters.get(parameter);
    return shard(parameter, p.gradient(), p.gradientType());
  }

  private void checkAccess(int[] which) {
    for (int t : which) {
      Parameter p = parameters.get(t);
      Checks.accessible("gradient of " + p.name(), p.gradient());
    }
  }

  @Override
  public void agree(boolean[] stepped, double gradScale, double maxNorm) {
    sendAnnounced();
    long which = 0;
    for (boolean one : stepped) {
      which = mixed(which, one ? 1 : 0);
    }
    long settings = 0;
    for (ParameterGroup group : groups) {
      var s = group.settings();
      settings = mixed(settings, s.rule().ordinal());
      settings = mixed(settings, s.maximize() ? 1 : 0);
      for (double value : new double[] {s.lambda(), s.lr(), s.beta1(), s.beta2(), s.eps()}) {
        settings = mixed(settings, Double.doubleToLongBits(value));
      }
    }
    long kind =
        mixed(mixed(1, Double.doubleToLongBits(gradScale)), Double.doubleToLongBits(maxNorm));
    compare(tell(1, announcedHash, which, settings, kind));
  }

  /** Starts to tell the others what is the same on all ranks. */
  private Ranks.Transfer tell(long... own) {
    told.copyFrom(MemorySegment.ofArray(own));
    return transfers.allGather(told, allTold);
  }

  private void compare(Ranks.Transfer telling) {
    telling.await();
    long[] all = allTold.toArray(JAVA_LONG);
    for (int i = 0; i < all.length; i++) {
      int what = i % SAME.size();
      if (all[i] != all[what]) {
        throw new IllegalStateException(
            "rank %d and rank 0 are about to take different steps: they differ in %s"
                .formatted(i / SAME.size(), SAME.get(what)));
      }
    }
  }

  /**
   * Mixes a value into a hash.
   *
   * @param hash of what came before, not a value itself: mixed(a, b) is mixed(b, a)
   */
  private static long mixed(long hash, long value) {
    long product = (hash ^ value) * 0x9e3779b97f4a7c15L;
    return product ^ product >>> 29;
  }

  /** Returns whether all ranks pass true. */
  boolean all(boolean own) {
    return Arrays.stream(all(own ? 1L : 0)).allMatch(one -> one == 1);
  }

  /** Returns what each rank passes, in the order of the ranks. */
  private long[] all(long... own) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment receive = arena.allocate(JAVA_LONG, (long) own.length * ranks.size());
      transfers.allGather(arena.allocateFrom(JAVA_LONG, own), receive).await();
      return receive.toArray(JAVA_LONG);
    }
  }

  @Override
  public void gradients(boolean[] stepped, boolean again) {
    List<List<Span>> spans = gradientSpans(where(t -> stepped[t] && !announced[t]));
    transfers.add(spans); // and what was announced
    for (int t = 0; t < stepped.length; t++) {
      if (stepped[t] && announced[t]) {
        own(t).copyFrom(totals[t]);
      }
    }
    if (!again) {
      Arrays.fill(announced, false);
      announcedHash = 0;
    }
  }

  private List<List<Span>> gradientSpans(int[] which) {
    List<List<Span>> spans = new ArrayList<>();
    for (int r = 0; r < ranks.size(); r++) {
      spans.add(spans(r, which, Parameter::gradient, Parameter::gradientType));
    }
    return spans;
  }

  @Override
  public void sums(MemorySegment own, MemorySegment all) {
    List<List<Span>> rows = new ArrayList<>();
    for (int r = 0; r < ranks.size(); r++) {
      List<Span> spans = new ArrayList<>();
      for (int t = 0; t < shards.tensors(); t++) {
        spans.addAll(span(all, shards.sumsOffset(t, r), shards.sumsBytes(t, r)));
      }
      rows.add(spans);
    }
    long bytes = rows.get(ranks.rank()).stream().mapToLong(Span::bytes).sum();
    transfers.gather(span(own, 0, bytes), rows);
  }

  private static List<Span> span(MemorySegment array, long offset, long bytes) {
    return bytes == 0 ? List.of() : List.of(new Span(array, offset, bytes, null));
  }

  @Override
  public void parameters(boolean[] stepped) {
    gather(t -> stepped[t], Parameter::data, Parameter::type);
  }

  /** Brings the low halves of exact masters to every rank: steps leave them with their owners. */
  void gatherLow() {
    gather(t -> parameters.get(t).low() != null, Parameter::low, p -> ElementType.INT16);
  }

  /** Brings every rank's elements of some parameters' arrays to all ranks. */
  private void gather(
      IntPredicate which,
      Function<Parameter, MemorySegment> array,
      Function<Parameter, ElementType> type) {
    int[] tensors = where(which);
    List<List<Span>> spans = new ArrayList<>();
    for (int r = 0; r < ranks.size(); r++) {
      spans.add(spans(r, tensors, r == ranks.rank() ? p -> null : array, type));
    }
    transfers.gather(spans(ranks.rank(), tensors, array, type), spans);
  }

  private int[] where(IntPredicate which) {
    return IntStream.range(0, parameters.size()).filter(which).toArray();
  }

  /** Returns a rank's elements of some parameters' arrays. */
  private List<Span> spans(
      int rank,
      int[] which,
      Function<Parameter, MemorySegment> array,
      Function<Parameter, ElementType> type) {
    List<Span> spans = new ArrayList<>();
    for (int t : which) {
      long begin = shards.begin(t, rank);
      long numel = shards.end(t, rank) - begin;
      if (numel > 0) {
        Parameter p = parameters.get(t);
        ElementType of = type.apply(p);
        spans.add(new Span(array.apply(p), begin * of.byteSize(), numel * of.byteSize(), of));
      }
    }
    return spans;
  }

  /**
   * Brings the moments of all shards to rank 0.
   *
   * @param arena where rank 0 allocates the whole arrays
   * @return on rank 0, the whole array for each shard's array; elsewhere nothing
   */
  Map<MemorySegment, MemorySegment> gatherMoments(Arena arena) {
    Map<MemorySegment, MemorySegment> whole = new IdentityHashMap<>();
    gatherMoments(Parameter::expAvg, arena, whole);
    gatherMoments(Parameter::expAvgSq, arena, whole);
    gatherMoments(Parameter::maxExpAvgSq, arena, whole);
    return whole;
  }

  private void gatherMoments(
      Function<Parameter, MemorySegment> moment,
      Arena arena,
      Map<MemorySegment, MemorySegment> whole) {
    if (ranks.rank() == 0) {
      for (Parameter p : parameters) {
        if (moment.apply(p) != null) {
          whole.put(moment.apply(p), arena.allocate(p.momentType().byteSize(p.numel()), 64));
        }
      }
    }
    List<Span> own = new ArrayList<>();
    List<List<Span>> all = new ArrayList<>();
    for (int r = 0; r < ranks.size(); r++) {
      List<Span> spans = new ArrayList<>();
      for (int t = 0; t < shards.tensors(); t++) {
        MemorySegment shard = moment.apply(parameters.get(t));
        for (MomentPart part : shard == null ? List.<MomentPart>of() : momentParts(t, r)) {
          spans.add(new Span(whole.get(shard), part.whole(), part.bytes(), null));
          if (r == ranks.rank()) {
            own.add(new Span(shard, part.shard(), part.bytes(), null));
          }
        }
      }
      all.add(spans);
    }
    transfers.gather(own, all);
  }

  /** Returns what a parameter's moments of this rank's shard consist of. */
  List<MomentPart> momentParts(int parameter) {
    return momentParts(parameter, ranks.rank());
  }

  private List<MomentPart> momentParts(int parameter, int rank) {
    Parameter p = parameters.get(parameter);
    return MomentPart.of(
        p.momentType(), p.numel(), shards.begin(parameter, rank), shards.end(parameter, rank));
  }
}
