package io.spd4j.finetune;

import io.spd4j.finetune.data.Example;
import java.util.List;
import java.util.SequencedMap;

/**
 * What a run learns from and is tested on.
 *
 * @param tests by title, the in-distribution one first
 */
record Data(List<Example> train, SequencedMap<String, List<Example>> tests) {}
