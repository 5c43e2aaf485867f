package lakehouse;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.URLEncoder;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.security.AccessControlException;
import org.apache.hadoop.util.Progressable;

/**
 * The local AWS's buckets for a Glue job's role: an operation is judged as the S3 call that does the same, before the
 * file is touched. Compiled by Janino (judged_files.py), so without generics, lambdas or annotations.
 */
public class JudgedFileSystem extends RawLocalFileSystem {
    private String root;

    public void initialize(URI uri, Configuration configuration) throws IOException {
        super.initialize(uri, configuration);
        this.root = configuration.get("fs.raw.root") + "/";
    }

    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        judge("GetObject", path);
        return super.open(path, bufferSize);
    }

    public FSDataOutputStream create(
            Path path, boolean overwrite, int bufferSize, short replication, long blockSize, Progressable progress)
            throws IOException {
        judge("PutObject", path);
        return super.create(path, overwrite, bufferSize, replication, blockSize, progress);
    }

    public FSDataOutputStream create(
            Path path, FsPermission permission, boolean overwrite, int bufferSize, short replication, long blockSize,
            Progressable progress) throws IOException {
        judge("PutObject", path);
        return super.create(path, permission, overwrite, bufferSize, replication, blockSize, progress);
    }

    public FSDataOutputStream createNonRecursive(
            Path path, FsPermission permission, boolean overwrite, int bufferSize, short replication, long blockSize,
            Progressable progress) throws IOException {
        judge("PutObject", path);
        return super.createNonRecursive(path, permission, overwrite, bufferSize, replication, blockSize, progress);
    }

    public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) throws IOException {
        judge("PutObject", path);
        return super.append(path, bufferSize, progress);
    }

    public boolean rename(Path source, Path target) throws IOException {
        judge("Rename", source, target);
        return super.rename(source, target);
    }

    public boolean delete(Path path, boolean recursive) throws IOException {
        judge("DeleteObject", path);
        return super.delete(path, recursive);
    }

    public boolean mkdirs(Path path) throws IOException {
        judge("MakeFolder", path);
        return super.mkdirs(path);
    }

    public boolean mkdirs(Path path, FsPermission permission) throws IOException {
        judge("MakeFolder", path);
        return super.mkdirs(path, permission);
    }

    public FileStatus[] listStatus(Path path) throws IOException {
        judge("ListObjectsV2", path);
        return super.listStatus(path);
    }

    public FileStatus getFileStatus(Path path) throws IOException {
        judge("HeadObject", path);
        return super.getFileStatus(path);
    }

    private void judge(String operation, Path path) throws IOException {
        judge(operation, path, path);
    }

    private void judge(String operation, Path path, Path target) throws IOException {
        String endpoint = System.getenv("AWS_ENDPOINT_URL");
        String query = "?operation=" + operation + "&path=" + encoded(path) + "&target=" + encoded(target);
        HttpURLConnection connection = (HttpURLConnection) new URL(endpoint + "/_lakehouse/files" + query).openConnection();
        connection.setRequestProperty("X-Lakehouse-Key", System.getenv("AWS_ACCESS_KEY_ID"));
        connection.setRequestProperty("X-Amz-Security-Token", System.getenv("AWS_SESSION_TOKEN"));
        int status = connection.getResponseCode();
        if (status == 403) {
            throw new AccessControlException(text(connection.getErrorStream()));
        }
        if (status != 200) {
            throw new IOException("the local AWS did not judge " + operation + " of " + path + ": HTTP " + status);
        }
        text(connection.getInputStream());
    }

    private String encoded(Path path) throws IOException {
        String file = this.pathToFile(path).getPath();
        String below = (file + "/").startsWith(this.root) ? (file + "/").substring(this.root.length()) : "";
        return URLEncoder.encode(below.endsWith("/") ? below.substring(0, below.length() - 1) : below, "UTF-8");
    }

    private static String text(InputStream stream) throws IOException {
        if (stream == null) {
            return "";
        }
        try {
            return new String(stream.readAllBytes(), "UTF-8").trim();
        } finally {
            stream.close();
        }
    }
}
