package io.spd4j.nativelib;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.FindException;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReader;
import java.lang.module.ModuleReference;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.StringJoiner;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * The result of looking for a native library: where {@code -D<name>.library.path=FILE} says, else
 * among the resources of the class path and the module path, else in {@code java.library.path},
 * else among the libraries of the system.
 *
 * @param loaded whether its functions can be called
 * @param reason one sentence for users: where it came from, or why it was not loaded
 */
public record NativeLibrary(boolean loaded, String reason) {

  private static final String TMPDIR = "spd4j.tmpdir";

  /** The module name of the jar with this platform's native libraries, as in pom.xml. */
  private static final String NATIVES = "io.spd4j.natives." + Platform.NAME.replace('-', '.');

  private static final Bundle NO_BUNDLE = new Bundle("", "", List.of(), "");

  /**
   * A place among the resources where a library can be.
   *
   * @param folder the folder, with / between its parts
   * @param file the library's file name
   * @param companions other files in the folder that the library needs beside it; the system
   *     provides those that are missing
   * @param advice how to get the library, to follow the message that it is missing
   */
  record Bundle(String folder, String file, List<String> companions, String advice) {
    /** Returns the place where this project's build puts a library. */
    static Bundle own(String name) {
      return own(name, "");
    }

    static Bundle own(String name, String advice) {
      return new Bundle(
          "META-INF/native/" + Platform.NAME, System.mapLibraryName(name), List.of(), advice);
    }

    String resource(String file) {
      return folder + "/" + file;
    }

    /** Opens a file, or returns null. Modules cannot hide folders that are not package names. */
    InputStream open(String file) throws IOException {
      InputStream own = NativeLibrary.class.getResourceAsStream("/" + resource(file));
      InputStream found =
          own != null
              ? own
              : NativeLibrary.class.getClassLoader().getResourceAsStream(resource(file));
      return found != null ? found : openOnModulePath(resource(file));
    }

    /** Searches the module path: no module requires the jar of natives, so the JVM skips it. */
    private static InputStream openOnModulePath(String resource) throws IOException {
      Path[] path =
          Stream.of(System.getProperty("jdk.module.path", "").split(File.pathSeparator))
              .filter(entry -> !entry.isEmpty())
              .map(Path::of)
              .toArray(Path[]::new);
      Optional<ModuleReference> natives = ModuleFinder.of(path).find(NATIVES);
      if (natives.isEmpty()) {
        return null;
      }
      try (ModuleReader reader = natives.get().open()) {
        Optional<InputStream> found = reader.open(resource);
        return found.isEmpty() ? null : new ByteArrayInputStream(found.get().readAllBytes());
      }
    }
  }

  private static final class Spd4j {
    static final NativeLibrary LIBRARY =
        load(
            "spd4j",
            List.of(
                Bundle.own(
                    "spd4j",
                    " (add the dependency io.spd4j:spd4j with the classifier "
                        + Platform.NAME
                        + ", or build the library here with a C compiler)")),
            Spd4jAbi::mismatch);
  }

  private static final class Cuda {
    static final NativeLibrary LIBRARY =
        load(
            "spd4j_cuda",
            List.of(
                Bundle.own(
                    "spd4j_cuda",
                    " (add the dependency io.spd4j:spd4j with the classifier linux-x86_64, or"
                        + " build the library here with nvcc)")),
            Spd4jCudaAbi::mismatch);
  }

  private static final class Dnnl {
    static final NativeLibrary LIBRARY =
        load("dnnl", List.of(Bundle.own("dnnl"), DnnlVersion.BUNDLE), DnnlVersion::mismatch);
  }

  private static final class Mpi {
    static final NativeLibrary LIBRARY =
        load("mpi", List.of(), MpiAbi.installed(), MpiAbi::mismatch);
  }

  /** Loads libspd4j at the first call. Never throws. */
  public static NativeLibrary spd4j() {
    return Spd4j.LIBRARY;
  }

  /**
   * Loads libspd4j_cuda and the CUDA runtime in it at the first call. Never throws. Loading needs
   * neither a GPU nor a driver.
   */
  public static NativeLibrary cuda() {
    return Cuda.LIBRARY;
  }

  /** Loads libdnnl at the first call. Never throws. */
  public static NativeLibrary dnnl() {
    return Dnnl.LIBRARY;
  }

  /** Loads the library of the installed MPI at the first call. Never throws. */
  public static NativeLibrary mpi() {
    return Mpi.LIBRARY;
  }

  static NativeLibrary load(
      String name, List<Bundle> bundles, Supplier<Optional<String>> mismatch) {
    return load(name, bundles, SystemLibrary.NONE, mismatch);
  }

  /**
   * Loads a library into this class's loader, where generated bindings look for symbols. Never
   * throws. Callers must keep the result, because each call loads again.
   *
   * @param name as for {@link System#loadLibrary}
   * @param bundles the places that can hold it, tried in order
   * @param system what it is called if the system has it
   * @param mismatch returns what is wrong with the loaded library; may throw the bindings'
   *     exception for a missing symbol
   */
  private static NativeLibrary load(
      String name,
      List<Bundle> bundles,
      SystemLibrary system,
      Supplier<Optional<String>> mismatch) {
    String file = System.mapLibraryName(name);
    String wrong = file + " was not loaded: ";
    try {
      String origin = find(name, bundles, system);
      wrong = file + " from " + origin + " cannot be used: ";
      Optional<String> found = mismatch.get();
      if (found.isPresent()) {
        return new NativeLibrary(false, wrong + found.get());
      }
      return new NativeLibrary(true, file + " was loaded from " + origin);
    } catch (UnsatisfiedLinkError e) {
      return new NativeLibrary(false, wrong + e.getMessage());
    } catch (IllegalCallerException e) {
      return new NativeLibrary(false, wrong + denied());
    } catch (ExceptionInInitializerError e) {
      // Before JDK 24 loading is not restricted, but initializing the bindings is.
      boolean denied = e.getCause() instanceof IllegalCallerException;
      return new NativeLibrary(false, wrong + (denied ? denied() : e.getCause()));
    }
  }

  /** Loads the first that can be loaded: even if it is wrong, its symbols would hide the next. */
  private static String find(String name, List<Bundle> bundles, SystemLibrary system) {
    system.setEnvironment();
    String property = name + ".library.path";
    String path = System.getProperty(property);
    if (path != null) {
      File explicit = new File(path).getAbsoluteFile();
      loadFile(explicit, property);
      return explicit + " (-D" + property + ")";
    }
    StringJoiner tried = new StringJoiner("; ");
    for (Bundle bundle : bundles) {
      try {
        loadBundle(bundle);
        return "the bundled " + bundle.resource(bundle.file());
      } catch (UnsatisfiedLinkError e) {
        tried.add(e.getMessage());
      }
    }
    try {
      System.loadLibrary(name);
      return "java.library.path";
    } catch (UnsatisfiedLinkError e) {
      tried.add(e.getMessage());
    }
    return system.load().orElseThrow(() -> new UnsatisfiedLinkError(tried + system.advice()));
  }

  private static void loadFile(File file, String property) {
    if (!file.isFile()) {
      throw new UnsatisfiedLinkError("there is no file " + file + " (-D" + property + ")");
    }
    try {
      System.load(file.getPath());
    } catch (UnsatisfiedLinkError e) {
      if (!e.getMessage().contains("already loaded in another classloader")) {
        throw new UnsatisfiedLinkError("-D" + property + ": " + e.getMessage());
      }
      try {
        loadCopy(new FileInputStream(file), file.getName(), NO_BUNDLE);
      } catch (FileNotFoundException unreadable) {
        throw new UnsatisfiedLinkError("-D" + property + ": " + unreadable.getMessage());
      }
    }
  }

  private static void loadBundle(Bundle bundle) {
    InputStream content;
    try {
      content = bundle.open(bundle.file());
    } catch (IOException | FindException e) {
      throw new UnsatisfiedLinkError(bundle.resource(bundle.file()) + " cannot be read: " + e);
    }
    if (content == null) {
      throw new UnsatisfiedLinkError(
          "no " + bundle.resource(bundle.file()) + " is bundled" + bundle.advice());
    }
    loadCopy(content, bundle.file(), bundle);
  }

  /**
   * Loads a copy from a new folder that only its owner can access, then deletes the folder. So
   * other processes, leftover old versions and hostile files in a shared folder do not matter, and
   * each class loader can load its own copy.
   */
  private static void loadCopy(InputStream content, String file, Bundle bundle) {
    String tmpdir = System.getProperty(TMPDIR, System.getProperty("java.io.tmpdir"));
    try (content) {
      Path folder = Files.createTempDirectory(Path.of(tmpdir).toAbsolutePath(), "spd4j");
      Path copy = folder.resolve(file);
      try {
        for (String companion : bundle.companions()) {
          copyCompanion(bundle, companion, folder);
        }
        Files.copy(content, copy);
        loadCopy(copy, tmpdir);
      } finally {
        delete(folder);
      }
    } catch (IOException | InvalidPathException e) {
      throw new UnsatisfiedLinkError(
          tmpdir + " cannot be written to (" + e + "): " + otherFolder("can be written to"));
    }
  }

  private static void copyCompanion(Bundle bundle, String companion, Path folder)
      throws IOException {
    try (InputStream content = bundle.open(companion)) {
      if (content != null) {
        Files.copy(content, folder.resolve(companion));
      }
    }
  }

  private static void loadCopy(Path copy, String tmpdir) {
    try {
      System.load(copy.toString());
    } catch (UnsatisfiedLinkError e) {
      // The linker's message depends on the locale, so test: a noexec mount denies execution.
      copy.toFile().setExecutable(true);
      if (Files.isExecutable(copy)) {
        throw e;
      }
      String fix = otherFolder("is on a file system that allows execution");
      throw new UnsatisfiedLinkError(
          tmpdir + " does not allow execution (" + e.getMessage() + "): " + fix);
    }
  }

  private static void delete(Path folder) throws IOException {
    List<Path> copies;
    try (Stream<Path> files = Files.list(folder)) {
      copies = files.toList();
    }
    try {
      for (Path copy : copies) {
        Files.delete(copy);
      }
      Files.delete(folder);
    } catch (IOException inUse) {
      folder.toFile().deleteOnExit(); // deletion is in reverse order
      copies.forEach(copy -> copy.toFile().deleteOnExit());
    }
  }

  private static String otherFolder(String one) {
    return "start java with -D" + TMPDIR + "=FOLDER, a folder that " + one;
  }

  /** Returns the message for an {@link IllegalCallerException} of a restricted method. */
  public static String denied() {
    Module module = NativeLibrary.class.getModule();
    return "native access is denied: start java with --enable-native-access="
        + (module.isNamed() ? module.getName() : "ALL-UNNAMED");
  }
}
