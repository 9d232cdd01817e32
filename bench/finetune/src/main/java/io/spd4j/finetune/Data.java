package io.spd4j.finetune;

import io.spd4j.finetune.data.Example;
import java.util.List;
import java.util.SequencedMap;

/**
 * The examples that a run trains on, is validated on and is tested on.
 *
 * @param validation held back from training, to choose settings by; empty if nothing is chosen
 * @param tests the test sets by title, the in-distribution set first
 */
record Data(
    List<Example> train, List<Example> validation, SequencedMap<String, List<Example>> tests) {}
