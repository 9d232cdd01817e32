package io.spd4j.finetune.minilm;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.SequencedMap;

/**
 * The tensors of a network by HuggingFace's names, embeddings first. Immutable except for the
 * values.
 */
public final class Weights {
  /** The name of the word embeddings, of which a batch looks up rows. */
  public static final String WORDS = "embeddings.word_embeddings.weight";

  private final SequencedMap<String, Weight> byName = new LinkedHashMap<>();

  /** Takes tensors with different names and keeps their order. */
  public Weights(Collection<Weight> weights) {
    weights.forEach(weight -> byName.put(weight.name(), weight));
  }

  /** Returns the names and shapes of an encoder's tensors, embeddings first. */
  public static SequencedMap<String, List<Long>> shapes(Config c) {
    SequencedMap<String, List<Long>> shapes = new LinkedHashMap<>();
    long hidden = c.hidden();
    shapes.put(WORDS, List.of((long) c.vocabulary(), hidden));
    shapes.put("embeddings.position_embeddings.weight", List.of((long) c.positions(), hidden));
    shapes.put("embeddings.token_type_embeddings.weight", List.of(2L, hidden));
    norm(shapes, "embeddings.LayerNorm", hidden);
    for (int i = 0; i < c.layers(); i++) {
      String layer = layer(i);
      linear(shapes, layer + "attention.self.query", hidden, hidden);
      linear(shapes, layer + "attention.self.key", hidden, hidden);
      linear(shapes, layer + "attention.self.value", hidden, hidden);
      linear(shapes, layer + "attention.output.dense", hidden, hidden);
      norm(shapes, layer + "attention.output.LayerNorm", hidden);
      linear(shapes, layer + "intermediate.dense", hidden, c.intermediate());
      linear(shapes, layer + "output.dense", c.intermediate(), hidden);
      norm(shapes, layer + "output.LayerNorm", hidden);
    }
    return shapes;
  }

  /** Returns the prefix of an encoder layer's tensor names. */
  public static String layer(int index) {
    return "encoder.layer." + index + ".";
  }

  private static void linear(Map<String, List<Long>> shapes, String name, long in, long out) {
    shapes.put(name + ".weight", List.of(out, in));
    shapes.put(name + ".bias", List.of(out));
  }

  private static void norm(Map<String, List<Long>> shapes, String name, long features) {
    shapes.put(name + ".weight", List.of(features));
    shapes.put(name + ".bias", List.of(features));
  }

  /** Returns all tensors. */
  public List<Weight> all() {
    return new ArrayList<>(byName.values());
  }

  /**
   * Returns a tensor.
   *
   * @throws NoSuchElementException if there is none of that name
   */
  public Weight get(String name) {
    Weight weight = byName.get(name);
    if (weight == null) {
      throw new NoSuchElementException("there is no tensor " + name);
    }
    return weight;
  }

  /** Returns whether there is a tensor of that name. */
  public boolean has(String name) {
    return byName.containsKey(name);
  }

  /** Returns copies of all tensors, with gradients if they are trainable. */
  public Weights copy(Arena arena, boolean trainable) {
    return new Weights(byName.values().stream().map(w -> w.copy(arena, trainable)).toList());
  }

  /** Returns these tensors and more. */
  public Weights with(Collection<Weight> more) {
    List<Weight> all = all();
    all.addAll(more);
    return new Weights(all);
  }
}
