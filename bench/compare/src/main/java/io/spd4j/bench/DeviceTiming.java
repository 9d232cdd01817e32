package io.spd4j.bench;

import io.spd4j.cuda.CudaEvent;
import io.spd4j.cuda.CudaStream;
import java.util.ArrayList;
import java.util.List;

/**
 * How long work on a CUDA device takes.
 *
 * @param device time of a run when runs are enqueued without a pause
 * @param host time to enqueue a run while the device is idle
 */
record DeviceTiming(Timing device, Timing host) {
  static DeviceTiming of(CudaStream stream, int repeat, Runnable task) {
    Timing.warmUp(() -> {
      task.run();
      stream.synchronize();
    });
    double[] host = new double[repeat];
    for (int i = 0; i < repeat; i++) {
      host[i] = Timing.nanos(task);
      stream.synchronize();
    }
    return new DeviceTiming(Timing.of(onDevice(stream, repeat, task)), Timing.of(host));
  }

  private static double[] onDevice(CudaStream stream, int repeat, Runnable task) {
    List<CudaEvent> events = new ArrayList<>(List.of(stream.record()));
    for (int i = 0; i < repeat; i++) {
      task.run();
      events.add(stream.record());
    }
    double[] nanos = new double[repeat];
    for (int i = 0; i < repeat; i++) {
      nanos[i] = events.get(i + 1).millisSince(events.get(i)) * 1e6;
    }
    events.forEach(CudaEvent::close);
    return nanos;
  }
}
