package io.spd4j;

import io.spd4j.kernel.SpdDecision;
import io.spd4j.safetensors.SafetensorsException;
import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The state of an optimizer in a safetensors file, from which another one continues with the same
 * bits ({@link Adam.Builder#restore(Checkpoint)}).
 *
 * <p>For each parameter, the file has the tensors
 *
 * <ul>
 *   <li>{@code NAME.exp_avg}, {@code NAME.exp_avg_sq} and, with AMSGrad, {@code
 *       NAME.max_exp_avg_sq}: the moments in their own type, in one dimension. 8-bit moments are
 *       U8: the bytes that {@link MomentType#byteSize} describes.
 *   <li>{@code NAME.step}: the number of steps taken, one F64.
 *   <li>{@code NAME.spd}, if SPD has checked the parameter: 8 F64 values: the step of the last
 *       decision, the steps checked, the steps selected, the sum of r over these, Σ g·(θ−θ0), Σ
 *       (θ−θ0)² before and after the update, and λ·r (0 if not selected).
 *   <li>{@code NAME} and, if the data are in two halves, {@code NAME.low}: the values, if asked
 *       for.
 * </ul>
 *
 * <p>The metadata have a checksum of the whole file ({@link SafetensorsWriter.Option#CHECKSUM})
 * and, as JSON under {@code spd4j.checkpoint}, a version, the seed, the groups' settings and the
 * parameters' names, sizes and types, with the CRC-32 of each anchor. Files written by others, for
 * example from a state of torch's AdamW, need only the moments and the step of each parameter, in
 * any shape; the step can also be F32, I64 or I32. Where they lack the rest, it is the new
 * optimizer's own. A script that changes a file must leave out these metadata.
 *
 * <p>Immutable. The arena that it was read into decides which threads can use its tensors.
 */
public final class Checkpoint {
  private static final String RESERVED = "spd4j.";
  private static final String OPTIMIZER = "spd4j.checkpoint";

  private final Path path;
  private final SafetensorsFile file;

  /** Null if the file was written by others. */
  private final SavedOptimizer optimizer;

  private Checkpoint(Path path, SafetensorsFile file, SavedOptimizer optimizer) {
    this.path = path;
    this.file = file;
    this.optimizer = optimizer;
  }

  /**
   * Returns a builder of a checkpoint of an optimizer as it is when {@link Builder#write} is
   * called.
   */
  public static Builder of(Adam adam) {
    return new Builder(Checks.notNull("adam", adam));
  }

  /** Returns where {@link Builder#keepPrevious} keeps the file before: its name and .previous. */
  public static Path previous(Path path) {
    return SafetensorsWriter.previous(path);
  }

  /**
   * Maps a checkpoint and checks that it is whole.
   *
   * @param arena owns the mapping; can be closed when the optimizer has been built
   * @throws CheckpointException if the file is damaged or not a checkpoint; the message says what
   *     is wrong, and whether the {@linkplain #previous one before} is whole
   * @throws NoSuchFileException if there is no such file; the message says whether the one before
   *     is whole
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   */
  public static Checkpoint read(Path path, Arena arena) throws IOException {
    Checks.notNull("path", path);
    Checks.notNull("arena", arena);
    try {
      return readWhole(path, arena);
    } catch (CheckpointException e) {
      throw new CheckpointException(e.getMessage() + offer(path, "; "), e.getCause());
    } catch (NoSuchFileException e) {
      String offer = offer(path, "");
      throw offer.isEmpty() ? e : new NoSuchFileException(path.toString(), null, offer);
    }
  }

  private static Checkpoint readWhole(Path path, Arena arena) throws IOException {
    try {
      SafetensorsFile file = SafetensorsFile.map(path, arena);
      boolean verified = file.verify();
      String json = file.metadata().get(OPTIMIZER);
      if (json == null) {
        return new Checkpoint(path, file, null);
      }
      if (!verified) {
        throw new CheckpointException(path + ": the file is damaged: it has no checksum", null);
      }
      return new Checkpoint(path, file, SavedOptimizer.parse(json));
    } catch (SafetensorsException e) {
      throw new CheckpointException(e.getMessage(), e);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(path + ": the checkpoint cannot be used: " + e.getMessage(), e);
    }
  }

  /** Names the checkpoint before if it is whole. */
  private static String offer(Path path, String separator) {
    Path previous = previous(path);
    try (Arena own = Arena.ofConfined()) {
      readWhole(previous, own);
      return separator + "the checkpoint before it is whole: " + previous;
    } catch (IOException e) {
      return "";
    }
  }

  /** Returns the strings that the writer added ({@link Builder#metadata}), unmodifiable. */
  public Map<String, String> metadata() {
    Map<String, String> own = new LinkedHashMap<>(file.metadata());
    own.keySet().removeIf(key -> key.startsWith(RESERVED));
    return Collections.unmodifiableMap(own);
  }

  /** Returns all tensors by name, the optimizer's and those that the writer added. */
  public Map<String, Tensor> tensors() {
    return file.tensors();
  }

  /**
   * Returns a tensor. Its data are read-only.
   *
   * @throws NoSuchElementException if there is none of that name
   */
  public Tensor tensor(String name) {
    return file.tensor(Checks.notNull("name", name));
  }

  /**
   * Returns the number of steps that a parameter has taken.
   *
   * @throws NoSuchElementException if there is no such parameter, or its step is not a count
   */
  public long step(String parameter) {
    Checks.notNull("parameter", parameter);
    long step = StateTensors.step(tensor(parameter + StateTensors.STEP));
    if (step < 0) {
      throw new NoSuchElementException(path + ": the step of " + parameter + " is not a count");
    }
    return step;
  }

  Path path() {
    return path;
  }

  SavedOptimizer optimizer() {
    return optimizer;
  }

  /**
   * Collects what a checkpoint has besides the optimizer's state, and writes it. Not thread-safe.
   */
  public static final class Builder {
    private final Adam adam;
    private final Map<String, String> metadata = new HashMap<>();
    private final List<Tensor> tensors = new ArrayList<>();
    private boolean parameters;
    private boolean keepPrevious;

    private Builder(Adam adam) {
      this.adam = adam;
    }

    /**
     * Sets whether the parameters' values are written, too; by default they are not. A restore then
     * brings them back.
     */
    public Builder parameters(boolean parameters) {
      this.parameters = parameters;
      return this;
    }

    /**
     * Sets whether the file that is replaced is kept as {@link Checkpoint#previous}; by default it
     * is not.
     */
    public Builder keepPrevious(boolean keepPrevious) {
      this.keepPrevious = keepPrevious;
      return this;
    }

    /**
     * Adds a string of your own, or replaces it.
     *
     * @throws IllegalArgumentException if the key starts with {@code spd4j.}
     */
    public Builder metadata(String key, String value) {
      if (Checks.notNull("key", key).startsWith(RESERVED)) {
        throw new IllegalArgumentException(
            "key " + key + " starts with " + RESERVED + ", which is reserved");
      }
      metadata.put(key, Checks.notNull("value of " + key, value));
      return this;
    }

    /**
     * Adds a tensor of your own, in host memory or, if the optimizer steps device memory, on a
     * device. Its data are read when the checkpoint is written.
     *
     * @throws IllegalArgumentException if the name is one that the parameters' state may have, or
     *     the segment does not have the size that type and shape require
     */
    public Builder tensor(String name, ElementType type, List<Long> shape, MemorySegment data) {
      Tensor tensor = new Tensor(name, type, shape, data);
      Set<String> names =
          adam.parameters().stream().map(Parameter::name).collect(Collectors.toSet());
      for (String suffix : StateTensors.SUFFIXES) {
        String parameter = name.substring(0, Math.max(0, name.length() - suffix.length()));
        if (name.endsWith(suffix) && names.contains(parameter)) {
          throw new IllegalArgumentException(
              "tensor " + name + " has a name that belongs to parameter " + parameter);
        }
      }
      tensors.add(tensor);
      return this;
    }

    /**
     * Writes the checkpoint, or replaces it. The whole file appears at once: it is written beside
     * the old one, forced to the disk and then moved ({@link SafetensorsWriter#write}). After an
     * exception, or if the process is killed, the old file is unchanged. State in device memory is
     * copied to host memory first, which must have room for it; this waits for the steps under way.
     *
     * <p>With {@linkplain Adam.Builder#ranks several ranks}, all call this together; rank 0, which
     * needs room for the moments of all, writes the file that one process would write, with the
     * strings and tensors that it added. If that fails, every rank throws.
     *
     * @throws IllegalArgumentException if two tensors would have the same name
     * @throws IllegalStateException if the optimizer is closed, a step is under way, an earlier
     *     step broke off half done, or an arena is closed
     * @throws WrongThreadException if a segment belongs to another thread
     * @throws IOException if the file cannot be written
     */
    public void write(Path path) throws IOException {
      Checks.notNull("path", path);
      adam.beginSave();
      try (Arena host = Arena.ofConfined()) {
        if (adam.exchange() == null) {
          write(path, Map.of(), host);
        } else {
          writeShards(path, adam.exchange(), host);
        }
      } finally {
        adam.endSave();
      }
    }

    private void writeShards(Path path, ShardExchange exchange, Arena host) throws IOException {
      if (parameters) {
        exchange.gatherLow();
      }
      Map<MemorySegment, MemorySegment> whole = exchange.gatherMoments(host);
      boolean done = false;
      boolean written;
      try {
        if (exchange.isFirst()) {
          write(path, whole, host);
        }
        done = true;
      } finally {
        written = exchange.all(done);
      }
      if (!written) {
        throw new IOException(path + ": rank 0 could not write the checkpoint");
      }
    }

    /**
     * @param whole what is written instead of an array
     */
    private void write(Path path, Map<MemorySegment, MemorySegment> whole, Arena host)
        throws IOException {
      List<Tensor> all = new ArrayList<>();
      Map<String, String> strings = new HashMap<>(metadata);
      strings.put(OPTIMIZER, SavedOptimizer.of(adam, parameters).toJson());
      for (ParameterGroup group : adam.groups()) {
        for (Parameter p : group.parameters()) {
          addState(all, p, group.amsgrad(), whole, host);
        }
      }
      for (Tensor t : tensors) {
        all.add(new Tensor(t.name(), t.dtype(), t.shape(), adam.place().onHost(t.data(), host)));
      }
      Set<SafetensorsWriter.Option> options = new HashSet<>();
      options.add(SafetensorsWriter.Option.CHECKSUM);
      if (keepPrevious) {
        options.add(SafetensorsWriter.Option.KEEP_PREVIOUS);
      }
      SafetensorsWriter.write(path, all, strings, options.toArray(SafetensorsWriter.Option[]::new));
    }

    private void addState(
        List<Tensor> all,
        Parameter p,
        boolean amsgrad,
        Map<MemorySegment, MemorySegment> whole,
        Arena host) {
      List<StateTensors.Array> arrays = new ArrayList<>(StateTensors.moments(p, amsgrad));
      if (parameters) {
        arrays.addAll(StateTensors.data(p));
      }
      for (StateTensors.Array a : arrays) {
        MemorySegment array = whole.getOrDefault(a.segment(), a.segment());
        MemorySegment data = adam.place().onHost(array, host);
        all.add(new Tensor(a.name(), a.type(), List.of(a.count()), data));
      }
      all.add(StateTensors.step(p, p.step()));
      SpdDecision decision = adam.decision(p);
      if (decision != null) {
        all.add(StateTensors.spd(p, decision));
      }
    }
  }
}
