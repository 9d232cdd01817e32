package io.spd4j.torture;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.AccessMode;
import java.nio.file.CopyOption;
import java.nio.file.DirectoryStream;
import java.nio.file.FileStore;
import java.nio.file.FileSystem;
import java.nio.file.FileSystemException;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.WatchService;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileAttributeView;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.nio.file.spi.FileSystemProvider;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The real files, on a file system that fails at one of its operations. They are counted from 0;
 * each call of the operating system is one, or a few that follow each other.
 */
final class FaultyFiles extends FileSystem {
  /** What happens at the operation. */
  enum Fault {
    /** It fails, and the next ones do not. A write writes the first half. */
    ONCE,
    /** From there on, what needs room on the disk fails. */
    FULL,
    /**
     * The process is killed: all from there on ends with {@link Killed}, and its locks are gone.
     */
    KILL
  }

  /** Ends every operation of a process that was killed. */
  static final class Killed extends Error {
    private static final long serialVersionUID = 1L;
  }

  private static final Set<String> NEEDS_ROOM = Set.of("create", "write", "force", "link", "move");

  private final FileSystem real;
  private final Fault fault;
  private final long at;
  private final Provider provider;
  private final List<String> operations = Collections.synchronizedList(new ArrayList<>());
  private final List<FileChannel> open = Collections.synchronizedList(new ArrayList<>());

  private FaultyFiles(FileSystem real, Fault fault, long at) {
    this.real = real;
    this.fault = fault;
    this.at = at;
    provider = new Provider();
  }

  /** Returns a path of a new file system. */
  static Path of(Path path, Fault fault, long at) {
    return new FaultyFiles(path.getFileSystem(), fault, at).wrap(path);
  }

  static FaultyFiles of(Path path) {
    return (FaultyFiles) path.getFileSystem();
  }

  /** Returns what was done, the operation that failed included. */
  List<String> operations() {
    return List.copyOf(operations);
  }

  boolean hasFailed() {
    return operations.size() > at;
  }

  /** Ends what the test has opened. */
  private void closeAll() {
    for (FileChannel channel : List.copyOf(open)) {
      try {
        channel.close();
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }
  }

  /** Counts an operation; returns whether it fails in the middle. */
  private synchronized boolean fails(String operation) {
    operations.add(operation);
    long number = operations.size() - 1;
    return switch (fault) {
      case ONCE -> number == at;
      case FULL -> number >= at && NEEDS_ROOM.contains(operation);
      case KILL -> number >= at;
    };
  }

  private IOException failure(String operation) {
    if (fault == Fault.KILL) {
      closeAll(); // releases the locks
      throw new Killed();
    }
    return new FileSystemException(operation, null, "the fault of the test");
  }

  private void perform(String operation) throws IOException {
    if (fails(operation)) {
      throw failure(operation);
    }
  }

  // --- Paths, which are those of the real file system with this one behind them. ---------------

  private Path wrap(Path path) {
    return path == null
        ? null
        : (Path)
            Proxy.newProxyInstance(
                FaultyFiles.class.getClassLoader(),
                new Class<?>[] {Path.class, Wrapped.class},
                (proxy, method, arguments) -> {
                  if (method.getDeclaringClass() == Wrapped.class) {
                    return path;
                  }
                  if (method.getName().equals("getFileSystem")) {
                    return this;
                  }
                  Object[] given = arguments == null ? new Object[0] : arguments.clone();
                  for (int i = 0; i < given.length; i++) {
                    given[i] = given[i] instanceof Path p ? unwrap(p) : given[i];
                  }
                  try {
                    Object result = method.invoke(path, given);
                    return result instanceof Path p ? wrap(p) : result;
                  } catch (InvocationTargetException e) {
                    throw e.getCause();
                  }
                });
  }

  /** A path of this file system. */
  private interface Wrapped {
    Path real();
  }

  private static Path unwrap(Path path) {
    return path instanceof Wrapped wrapped ? wrapped.real() : path;
  }

  @Override
  public FileSystemProvider provider() {
    return provider;
  }

  @Override
  public void close() {
    closeAll();
  }

  @Override
  public boolean isOpen() {
    return true;
  }

  @Override
  public boolean isReadOnly() {
    return false;
  }

  @Override
  public String getSeparator() {
    return real.getSeparator();
  }

  @Override
  public Iterable<Path> getRootDirectories() {
    throw new UnsupportedOperationException();
  }

  @Override
  public Iterable<FileStore> getFileStores() {
    throw new UnsupportedOperationException();
  }

  @Override
  public Set<String> supportedFileAttributeViews() {
    return real.supportedFileAttributeViews();
  }

  @Override
  public Path getPath(String first, String... more) {
    return wrap(real.getPath(first, more));
  }

  @Override
  public PathMatcher getPathMatcher(String pattern) {
    PathMatcher matcher = real.getPathMatcher(pattern);
    return path -> matcher.matches(unwrap(path));
  }

  @Override
  public UserPrincipalLookupService getUserPrincipalLookupService() {
    return real.getUserPrincipalLookupService();
  }

  @Override
  public WatchService newWatchService() {
    throw new UnsupportedOperationException();
  }

  /** The operations on paths. */
  private final class Provider extends FileSystemProvider {
    private final FileSystemProvider files = real.provider();

    @Override
    public FileChannel newFileChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      String operation = options.toString().contains("CREATE") ? "create" : "open";
      perform(operation);
      FileChannel channel = files.newFileChannel(unwrap(path), options, attributes);
      open.add(channel);
      return new Channel(channel);
    }

    @Override
    public SeekableByteChannel newByteChannel(
        Path path, Set<? extends OpenOption> options, FileAttribute<?>... attributes)
        throws IOException {
      return newFileChannel(path, options, attributes);
    }

    @Override
    public DirectoryStream<Path> newDirectoryStream(
        Path folder, DirectoryStream.Filter<? super Path> filter) throws IOException {
      perform("list");
      DirectoryStream<Path> stream =
          files.newDirectoryStream(unwrap(folder), path -> filter.accept(wrap(path)));
      return new DirectoryStream<>() {
        @Override
        public Iterator<Path> iterator() {
          Iterator<Path> paths = stream.iterator();
          return new Iterator<>() {
            @Override
            public boolean hasNext() {
              return paths.hasNext();
            }

            @Override
            public Path next() {
              return wrap(paths.next());
            }
          };
        }

        @Override
        public void close() throws IOException {
          stream.close();
        }
      };
    }

    @Override
    public void createDirectory(Path folder, FileAttribute<?>... attributes) throws IOException {
      perform("create");
      files.createDirectory(unwrap(folder), attributes);
    }

    @Override
    public void createLink(Path link, Path existing) throws IOException {
      perform("link");
      files.createLink(unwrap(link), unwrap(existing));
    }

    @Override
    public void delete(Path path) throws IOException {
      perform("delete");
      files.delete(unwrap(path));
    }

    @Override
    public void copy(Path source, Path target, CopyOption... options) {
      throw new UnsupportedOperationException();
    }

    @Override
    public void move(Path source, Path target, CopyOption... options) throws IOException {
      perform("move");
      files.move(unwrap(source), unwrap(target), options);
    }

    @Override
    public boolean isSameFile(Path path, Path other) throws IOException {
      return files.isSameFile(unwrap(path), unwrap(other));
    }

    @Override
    public boolean isHidden(Path path) throws IOException {
      return files.isHidden(unwrap(path));
    }

    @Override
    public FileStore getFileStore(Path path) throws IOException {
      return files.getFileStore(unwrap(path));
    }

    @Override
    public void checkAccess(Path path, AccessMode... modes) throws IOException {
      perform("stat");
      files.checkAccess(unwrap(path), modes);
    }

    @Override
    public <V extends FileAttributeView> V getFileAttributeView(
        Path path, Class<V> type, LinkOption... options) {
      V view = files.getFileAttributeView(unwrap(path), type, options);
      // The calls that change something.
      return type.cast(
          Proxy.newProxyInstance(
              FaultyFiles.class.getClassLoader(),
              new Class<?>[] {type},
              (proxy, method, arguments) -> {
                perform(method.getName());
                try {
                  return method.invoke(view, arguments);
                } catch (InvocationTargetException e) {
                  throw e.getCause();
                }
              }));
    }

    @Override
    public <A extends BasicFileAttributes> A readAttributes(
        Path path, Class<A> type, LinkOption... options) throws IOException {
      perform("stat");
      return files.readAttributes(unwrap(path), type, options);
    }

    @Override
    public Map<String, Object> readAttributes(Path path, String names, LinkOption... options)
        throws IOException {
      perform("stat");
      return files.readAttributes(unwrap(path), names, options);
    }

    @Override
    public void setAttribute(Path path, String name, Object value, LinkOption... options)
        throws IOException {
      perform("set");
      files.setAttribute(unwrap(path), name, value, options);
    }

    @Override
    public String getScheme() {
      return "faulty";
    }

    @Override
    public FileSystem newFileSystem(URI uri, Map<String, ?> environment) {
      throw new UnsupportedOperationException();
    }

    @Override
    public FileSystem getFileSystem(URI uri) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Path getPath(URI uri) {
      throw new UnsupportedOperationException();
    }
  }

  /** The operations on an open file. */
  private final class Channel extends FileChannel {
    private final FileChannel file;

    Channel(FileChannel file) {
      this.file = file;
    }

    /** Lets the first half of the bytes through if the write is the one that fails. */
    private ByteBuffer half(ByteBuffer bytes) {
      return bytes.duplicate().limit(bytes.position() + bytes.remaining() / 2);
    }

    @Override
    public int write(ByteBuffer bytes) throws IOException {
      if (fails("write")) {
        if (file.isOpen()) {
          file.write(half(bytes));
        }
        throw failure("write");
      }
      return file.write(bytes);
    }

    @Override
    public int write(ByteBuffer bytes, long position) throws IOException {
      if (fails("write")) {
        if (file.isOpen()) {
          file.write(half(bytes), position);
        }
        throw failure("write");
      }
      return file.write(bytes, position);
    }

    @Override
    public void force(boolean metadata) throws IOException {
      perform("force");
      file.force(metadata);
    }

    @Override
    public FileLock tryLock(long position, long size, boolean shared) throws IOException {
      perform("lock");
      return file.tryLock(position, size, shared);
    }

    @Override
    public FileLock lock(long position, long size, boolean shared) {
      throw new UnsupportedOperationException();
    }

    @Override
    protected void implCloseChannel() throws IOException {
      open.remove(file);
      file.close();
      perform("close");
    }

    @Override
    public int read(ByteBuffer bytes) throws IOException {
      return file.read(bytes);
    }

    @Override
    public long read(ByteBuffer[] bytes, int offset, int length) throws IOException {
      return file.read(bytes, offset, length);
    }

    @Override
    public int read(ByteBuffer bytes, long position) throws IOException {
      return file.read(bytes, position);
    }

    @Override
    public long write(ByteBuffer[] bytes, int offset, int length) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long position() throws IOException {
      return file.position();
    }

    @Override
    public FileChannel position(long position) throws IOException {
      file.position(position);
      return this;
    }

    @Override
    public long size() throws IOException {
      return file.size();
    }

    @Override
    public FileChannel truncate(long size) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long transferTo(long position, long count, WritableByteChannel target) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long transferFrom(ReadableByteChannel source, long position, long count) {
      throw new UnsupportedOperationException();
    }

    @Override
    public MappedByteBuffer map(MapMode mode, long position, long size) {
      throw new UnsupportedOperationException();
    }

    @Override
    public MemorySegment map(MapMode mode, long offset, long size, Arena arena) {
      throw new UnsupportedOperationException();
    }
  }
}
