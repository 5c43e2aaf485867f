package lakehouse;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * Spark's files as S3 has them, where a rename is a copy and a delete of each object. Before each call a test may look
 * at what is there, or end the run: from the n-th of those that change an object on, none comes about. Compiled by
 * Janino, so without generics, lambdas or annotations.
 */
public class CopyingFileSystem extends RawLocalFileSystem {
    /** Is given the call and the path; null for none. */
    public static BiConsumer before;
    /** Calls that change an object until the run is dead; 0 for a run that lives. */
    public static int left;
    public static boolean dead;
    private static final List CHANGES = Arrays.asList(new String[] {"create", "copy", "delete"});

    private static synchronized void call(String name, File file) throws IOException {
        if (before != null) {
            before.accept(name, file.getPath());
        }
        if (CHANGES.contains(name) && left > 0 && --left == 0) {
            dead = true;
        }
        if (dead) {
            throw new IOException("killed before " + name + " of " + file);
        }
    }

    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        call("open", pathToFile(path));
        return super.open(path, bufferSize);
    }

    public FSDataOutputStream create(
            Path path, boolean overwrite, int bufferSize, short replication, long blockSize, Progressable progress)
            throws IOException {
        call("create", pathToFile(path));
        return super.create(path, overwrite, bufferSize, replication, blockSize, progress);
    }

    public FSDataOutputStream create(
            Path path, FsPermission permission, boolean overwrite, int bufferSize, short replication, long blockSize,
            Progressable progress) throws IOException {
        call("create", pathToFile(path));
        return super.create(path, permission, overwrite, bufferSize, replication, blockSize, progress);
    }

    public boolean rename(Path source, Path target) throws IOException {
        File from = pathToFile(source);
        if (!from.exists()) {
            throw new FileNotFoundException(from.getPath());
        }
        copy(from, pathToFile(target));
        remove(from);
        return true;
    }

    public boolean delete(Path path, boolean recursive) throws IOException {
        File file = pathToFile(path);
        if (!file.exists()) {
            return false;
        }
        if (!recursive && file.isDirectory() && file.list().length > 0) {
            throw new IOException(file + " is not empty");
        }
        remove(file);
        return true;
    }

    public boolean mkdirs(Path path) throws IOException {
        call("mkdirs", pathToFile(path));
        return super.mkdirs(path);
    }

    public FileStatus[] listStatus(Path path) throws IOException {
        call("list", pathToFile(path));
        return super.listStatus(path);
    }

    private static void copy(File from, File to) throws IOException {
        if (from.isDirectory()) {
            to.mkdirs();
            File[] children = from.listFiles();
            for (int at = 0; at < children.length; at++) {
                copy(children[at], new File(to, children[at].getName()));
            }
        } else {
            call("copy", to);
            Files.copy(from.toPath(), to.toPath(), new java.nio.file.CopyOption[0]);
        }
    }

    private static void remove(File file) throws IOException {
        File[] children = file.listFiles();
        if (children == null) {
            call("delete", file);
        } else {
            for (int at = 0; at < children.length; at++) {
                remove(children[at]);
            }
        }
        Files.delete(file.toPath());
    }
}
