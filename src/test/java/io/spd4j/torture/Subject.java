package io.spd4j.torture;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.NoDecay;
import io.spd4j.cuda.Cuda;
import io.spd4j.cuda.CudaDevice;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Backends that must agree. */
final class Subject {
  private Subject() {}

  /** Returns the backends for host memory that this machine has, plain Java first. */
  static List<Backend> onCpu() {
    List<Backend> all = new ArrayList<>(List.of(Backend.SCALAR));
    for (Backend backend : List.of(Backend.VECTOR, Backend.NATIVE)) {
      try {
        Adam.builder().backend(backend).group(1, new NoDecay(), List.of()).build().close();
        all.add(backend);
      } catch (IllegalStateException absent) {
        // the others are compared
      }
    }
    return all;
  }

  /** Returns whether CUDA is emulated in this JVM: then its memory is the host's. */
  static boolean isCudaEmulated() {
    String library = System.getProperty("spd4j_cuda.library.path", "");
    return library.contains("cuda-on-host")
        && Files.exists(Path.of(library))
        && Cuda.availability().available();
  }

  /** Waits for the emulated device. */
  static void await(Backend backend) {
    if (backend == Backend.CUDA) {
      CudaDevice.of(0).synchronize();
    }
  }
}
