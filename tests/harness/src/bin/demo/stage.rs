//! Control plane, simulator and operator: what runs while the demo does.

use std::path::Path;

use scrobble_harness::process::{is_running, tail};
use scrobble_harness::{ControlPlane, Installation, Operator, OperatorProcess, Options, SimulatorProcess};
use scrobble_simulator::Client;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// What runs. Dropping it ends everything, in the order of the fields.
#[derive(Default)]
pub struct Stage {
    operator: Option<OperatorProcess>,
    simulator: Option<SimulatorProcess>,
    plane: Option<ControlPlane>,
}

impl Stage {
    /// Starts etcd, API server and controller manager.
    pub async fn start_control_plane(&mut self) -> Result<(), Failure> {
        self.plane = Some(ControlPlane::start(Options::default()).await?);
        Ok(())
    }

    /// Starts the simulator.
    pub async fn start_simulator(&mut self, program: &Path) -> Result<Client, Failure> {
        let simulator = SimulatorProcess::start(program).await?;
        Ok(self.simulator.insert(simulator).client().clone())
    }

    /// Starts the operator; returns when it is ready.
    pub async fn start_operator(&mut self, program: &Path, installation: &Installation) -> Result<(), Failure> {
        let operator = Operator::installed(program, installation).start().await?;
        self.operator = Some(operator);
        Ok(())
    }

    /// How the operator was started, as one would type it.
    pub fn operator_command(&self) -> String {
        let arguments = self.operator.as_ref().map(|operator| operator.operator().arguments()).unwrap_or_default();
        let lines: Vec<String> = arguments.iter().map(|argument| format!("  {argument}")).collect();
        format!("scrobble-operator run \\\n{}", lines.join(" \\\n"))
    }

    /// The control plane, once it is started.
    pub fn plane(&self) -> Result<&ControlPlane, Failure> {
        self.plane.as_ref().ok_or_else(|| Failure::Story("the control plane was not started".to_owned()))
    }

    /// Whether everything was started.
    pub fn is_complete(&self) -> bool {
        self.operator.is_some()
    }

    /// A failure if the operator or the simulator has ended.
    pub fn ensure_running(&mut self) -> Result<(), Failure> {
        if let Some(simulator) = &mut self.simulator {
            simulator.ensure_running()?;
        }
        let exit = self.operator.as_mut().map(OperatorProcess::exit_status).transpose()?.flatten();
        exit.map_or(Ok(()), |status| Err(Failure::Story(format!("the operator ended: {status}"))))
    }

    /// The end of the operator's log.
    pub fn operator_log_tail(&self) -> String {
        let log = self.operator.as_ref().map(OperatorProcess::log).unwrap_or_default();
        if log.is_empty() { log } else { format!("\nThe end of the operator's log:\n{}", tail(&log, 30)) }
    }

    /// For `--keep`.
    pub fn explain_how_to_stop(&self, terminal: &mut Terminal) {
        terminal.section("Everything goes on running");
        if let (Some(plane), Some(operator), Some(simulator)) = (&self.plane, &self.operator, &self.simulator) {
            let path = plane.tools().folder().display();
            terminal.text("In another terminal:");
            terminal.gap();
            terminal.command(&format!("export KUBECONFIG={}", plane.kubeconfig().display()));
            terminal.command(&format!("export PATH={path}:$PATH"));
            terminal.command("kubectl -n music get spotifyaccounts --watch");
            terminal.command(&format!("tail -f {}", operator.log_path().display()));
            terminal.command(&format!("curl {}/_simulator/requests", simulator.client().base_url()));
            terminal.gap();
        }
        terminal.text("To stop and remove all of it: Ctrl-C here, or");
        terminal.gap();
        terminal.command(&format!("kill {}", std::process::id()));
        terminal.gap();
    }

    /// Ends everything; the operator is asked to, and must end well.
    pub async fn close(&mut self, terminal: &mut Terminal) -> Result<(), Failure> {
        let Some(plane) = self.plane.take() else { return Ok(()) };
        terminal.section("Leaving nothing behind");
        let mut processes = plane.process_ids().await;
        processes.extend(self.simulator.as_ref().map(SimulatorProcess::id));
        processes.extend(self.operator.as_ref().map(OperatorProcess::id));
        let folder = plane.folder().to_path_buf();

        let status = match self.operator.take() {
            Some(mut operator) => Some(operator.terminate().await?),
            None => None,
        };
        if let Some(status) = &status {
            terminal.text(&format!("The operator was asked to end (SIGTERM): {status}."));
        }
        drop(self.simulator.take());
        drop(plane);
        let left: Vec<u32> = processes.iter().copied().filter(|&process| is_running(process)).collect();
        if !left.is_empty() || folder.exists() {
            return Err(Failure::Story(format!("something is left: processes {left:?}, {}", folder.display())));
        }
        terminal.text(&format!("All {} processes have ended, and their files are removed.", processes.len()));
        match status {
            Some(status) if !status.success() => Err(Failure::Story(format!("the operator ended with {status}"))),
            _ => Ok(()),
        }
    }
}
