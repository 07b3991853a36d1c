use super::*;
use crate::app::App;
use llmleaf_config::Config;
use llmleaf_dialects::batches::Task;
use std::io::{Cursor, Read};
use std::path::PathBuf;

/// A node that serves `echo/…` and runs batches, and its directory.
struct Node {
    runner: Runner,
    root: PathBuf,
    _orders: watch::Sender<Order>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

const BATCH: &str = "b";

impl Node {
    fn new(name: &str) -> Self {
        let name = format!("llmleaf-runner-{name}-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let text = r#"
            [[providers]]
            name = "echo"
            kind = "echo"
            prefix = "echo"

            [[keys]]
            id = "me"
            pw_hash = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"
        "#;
        let config = Config::parse(text, "node.toml", &|_| None).unwrap_or_else(|d| panic!("{d}"));
        let app = Arc::new(App::build(&config).expect("it is built"));
        let (told, orders) = watch::channel(Order::Run);
        let runner = Runner {
            desk: Rc::new(Desk::new(Arc::new(Published::new(app)))),
            store: Arc::new(Store::open(&root).expect("a directory")),
            orders,
            seats: Arc::new(Semaphore::new(AT_ONCE)),
            running: Rc::default(),
        };
        Self {
            runner,
            root,
            _orders: told,
        }
    }

    /// A batch of so many requests, of which these can be read.
    fn run(&self, total: u64, input: impl BufRead + 'static) -> Run {
        let folder = self.root.join("batches").join(BATCH);
        std::fs::create_dir(&folder).expect("a batch");
        let now = unix_now().as_secs();
        let sheet = Sheet {
            owner: "me".to_owned(),
            task: Task::Chat.letter(),
            created: now,
            expires: now + 24 * 3600,
            total,
            models: Vec::new(),
            labels: Vec::new(),
            input: None,
        };
        let order = serde_json::to_vec(&sheet).expect("it is written");
        std::fs::write(folder.join("order.json"), order).expect("it is written");
        let mut run = Run::open(&self.runner, BATCH, &sheet).expect("it is opened");
        run.input = Some(Box::new(input));
        run
    }

    fn end(&self) -> (Option<End>, u64, u64) {
        let state = self.runner.store.state(BATCH);
        (
            state.ended.map(|(end, _)| end),
            state.completed,
            state.failed,
        )
    }
}

fn requests(model: &str, count: usize) -> String {
    let each = (0..count).map(|at| {
        format!(
            "{{\"custom_id\":\"q {at}\",\"body\":{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}}}\n"
        )
    });
    each.collect()
}

fn simulated<T>(story: impl Future<Output = T>) -> T {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true);
    let runtime = runtime.build_local(LocalOptions::default());
    runtime.expect("a runtime").block_on(story)
}

#[test]
fn what_is_forgotten_in_the_directory_is_forgotten_here() {
    let names = |all: &[&str]| all.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let mut known: HashSet<String> = names(&["a", "b", "c"]).into_iter().collect();
    keep_of(&mut known, &names(&["b", "d"]));
    assert_eq!(known.into_iter().collect::<Vec<_>>(), names(&["b"]));
}

/// A disk that fails at that place, always.
struct Damaged;

impl Read for Damaged {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("a bad block"))
    }
}

#[test]
fn m3_a_disk_that_fails_takes_no_request_along_that_is_on_its_way() {
    simulated(async {
        let node = Node::new("disk");
        let input = Cursor::new(requests("echo/m", 3)).chain(BufReader::new(Damaged));
        let run = node.run(5, input);
        let finished = run.finish(node.runner.clone()).await;
        assert!(finished.expect("it ends"));
        assert_eq!(node.end(), (Some(End::Failed), 3, 0));
        let (batch, _) = node.runner.store.batch(BATCH).expect("it is there");
        let codes: Vec<_> = batch
            .problems
            .iter()
            .map(|one| one.code.as_deref())
            .collect();
        assert_eq!(codes, [Some("input_damaged")]);
        assert_eq!(batch.counts.failed, 2);
    });
}

#[test]
fn m3_what_a_disk_reads_later_is_asked_later() {
    simulated(async {
        let node = Node::new("later");
        let input = Cursor::new(requests("echo/m", 3)).chain(BufReader::new(Damaged));
        let run = node.run(5, input);
        let whole = requests("echo/m", 5);
        std::fs::write(node.runner.store.input(BATCH), whole).expect("it is written");
        let finished = run.finish(node.runner.clone()).await;
        assert!(finished.expect("it ends"));
        assert_eq!(node.end(), (Some(End::Completed), 5, 0));
    });
}

#[test]
fn m3_a_model_that_is_gone_is_waited_for_once() {
    simulated(async {
        let node = Node::new("gone");
        let count = 3 * AT_ONCE;
        let run = node.run(count as u64, Cursor::new(requests("gone/m", count)));
        let began = Instant::now();
        let finished = run.finish(node.runner.clone()).await;
        assert!(finished.expect("it ends"));
        assert_eq!(node.end(), (Some(End::Completed), 0, count as u64));
        let waited = began.elapsed();
        let once = Duration::from_secs(243);
        assert!(once <= waited && waited < once + once / 10, "{waited:?}");
        let journal = std::fs::read_to_string(node.runner.store.journal(BATCH));
        let journal = journal.expect("a journal");
        let told = journal.lines().filter(|line| line.contains("model_gone"));
        assert_eq!(told.count(), count);
    });
}
