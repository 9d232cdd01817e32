package io.spd4j.djl;

import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.util.Pair;
import java.util.HashMap;
import java.util.Map;

/**
 * The names of a block's parameters by their ids. DJL's optimizers are told only ids, such as
 * {@code uid-4f2...}, which differ in each run.
 */
final class ParameterNames {
  private final Block block;
  private final Map<String, String> names = new HashMap<>();

  /**
   * @param block null if ids are the names
   */
  ParameterNames(Block block) {
    this.block = block;
  }

  /**
   * Returns the name of a parameter.
   *
   * @throws IllegalArgumentException if the block has no parameter of that id
   */
  String name(String id) {
    if (block == null) {
      return id;
    }
    if (!names.containsKey(id)) {
      // A block can get children at any time. A parameter that it has twice keeps its first name.
      for (Pair<String, Parameter> parameter : block.getParameters()) {
        names.putIfAbsent(parameter.getValue().getId(), parameter.getKey());
      }
    }
    String name = names.get(id);
    if (name == null) {
      throw new IllegalArgumentException(
          id + " is not a parameter of the block that the optimizer was built with");
    }
    return name;
  }
}
