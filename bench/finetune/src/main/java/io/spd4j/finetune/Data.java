package io.spd4j.finetune;

import io.spd4j.finetune.data.Example;
import java.util.List;
import java.util.SequencedMap;

/**
 * The examples that a run trains on and is tested on.
 *
 * @param tests the test sets by title, the in-distribution set first
 */
record Data(List<Example> train, SequencedMap<String, List<Example>> tests) {}
