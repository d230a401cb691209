(* TrieNodes: what makes a set of nodes a trie, and the one lemma by which every change of it is justified. The central
   notion is the edge: a sequence lies on the edge of the node that spells its last token, and of no other node. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie.
Import ListNotations.

(* ---- paths *)
Definition prefix (a b : path) : Prop := exists c, b = a ++ c.

Lemma prefix_refl a : prefix a a.
Proof. exists []. rewrite app_nil_r. reflexivity. Qed.
Lemma prefix_trans a b c : prefix a b -> prefix b c -> prefix a c.
Proof. intros (x & ->) (y & ->). exists (x ++ y). rewrite app_assoc. reflexivity. Qed.
Lemma prefix_length a b : prefix a b -> length a <= length b.
Proof. intros (c & ->). rewrite app_length. lia. Qed.
Lemma prefix_nil b : prefix [] b.
Proof. exists b. reflexivity. Qed.
Lemma prefix_firstn n b : prefix (firstn n b) b.
Proof. exists (skipn n b). symmetry. apply firstn_skipn. Qed.
Lemma prefix_app a c : prefix a (a ++ c).
Proof. exists c. reflexivity. Qed.
Lemma prefix_is_firstn a b : prefix a b <-> a = firstn (length a) b.
Proof.
  split; [intros (c & ->); rewrite firstn_app, Nat.sub_diag, firstn_all, app_nil_r; reflexivity|].
  intros H. rewrite H. apply prefix_firstn.
Qed.
Lemma prefix_same_length a b : prefix a b -> length b <= length a -> a = b.
Proof. intros (c & ->) L. rewrite app_length in L. destruct c; [rewrite app_nil_r; auto|cbn in L; lia]. Qed.
Lemma prefix_both a b c : prefix a c -> prefix b c -> length a <= length b -> prefix a b.
Proof.
  intros Ha Hb L. apply prefix_is_firstn in Ha, Hb. rewrite Ha, Hb. exists (skipn (length a) (firstn (length b) c)).
  rewrite <- (firstn_skipn (length a) (firstn (length b) c)) at 1. f_equal. rewrite firstn_firstn. f_equal. lia.
Qed.
Lemma prefix_of_firstn a b n : prefix a b -> length a <= n -> prefix a (firstn n b).
Proof. intros H L. apply (prefix_both a (firstn n b) b); auto using prefix_firstn. rewrite firstn_length.
  apply prefix_length in H. lia. Qed.
Lemma same_path_spec a b : same_path a b = true <-> a = b.
Proof.
  revert b. induction a as [|x a IH]; destruct b as [|y b]; cbn; try (split; [discriminate|intros [=]]); [tauto|].
  rewrite andb_true_iff, Nat.eqb_eq, IH. split; [intros (-> & ->); auto|intros [= -> ->]; auto].
Qed.
Lemma same_path_false a b : same_path a b = false <-> a <> b.
Proof. rewrite <- same_path_spec. destruct (same_path a b); split; congruence. Qed.
Lemma is_prefix_spec a b : is_prefix a b = true <-> prefix a b.
Proof.
  revert b. induction a as [|x a IH]; destruct b as [|y b]; cbn.
  - split; auto using prefix_nil.
  - split; auto using prefix_nil.
  - split; [discriminate|intros (c & [=])].
  - rewrite andb_true_iff, Nat.eqb_eq, IH. split.
    + intros (-> & c & ->). exists c. reflexivity.
    + intros (c & [= -> ->]). split; auto. exists c. reflexivity.
Qed.
Lemma snoc_prefix (s q : path) : prefix s q -> length s < length q -> exists a, prefix (s ++ [a]) q.
Proof.
  intros (c & ->) L. rewrite app_length in L. destruct c as [|a c]; [cbn in L; lia|]. exists a, c.
  rewrite <- app_assoc. reflexivity.
Qed.

Section Nodes.
Variable P : nat.

(* ---- edges *)
Definition on_edge (n : node) (q : path) : Prop := prefix q (n_path n) /\ start n < length q.
Definition edge_of (ns : list node) (q : path) : Prop := exists n, In n ns /\ on_edge n q.
Definition paths (ns : list node) : list path := map n_path ns.

Definition shape_ok (n : node) : Prop :=
  start n < stop n /\ length (pages n) = stop n / P - start n / P /\ (tail n <> None -> stop n mod P <> 0).

Record well_formed (ns : list node) : Prop := {
  wf_shape : forall n, In n ns -> shape_ok n;
  wf_disjoint : forall m n q, In m ns -> In n ns -> on_edge m q -> on_edge n q -> m = n;
  wf_parent : forall n, In n ns -> start n = 0 \/ In (parent n) (paths ns);
  wf_nodup : NoDup (paths ns)
}.

Lemma on_own_edge n : shape_ok n -> on_edge n (n_path n).
Proof. intros (S & _). split; [apply prefix_refl|exact S]. Qed.
Lemma in_paths s ns : In s (paths ns) <-> exists n, In n ns /\ n_path n = s.
Proof. unfold paths. rewrite in_map_iff. firstorder. Qed.

Lemma same_node ns m n : well_formed ns -> In m ns -> In n ns -> n_path m = n_path n -> m = n.
Proof.
  intros W Hm Hn E. apply (wf_disjoint ns W m n (n_path m)); auto.
  - apply on_own_edge, (wf_shape ns W m Hm).
  - rewrite E. apply on_own_edge, (wf_shape ns W n Hn).
Qed.

Lemma parent_length n : shape_ok n -> length (parent n) = start n.
Proof. intros (S & _). unfold parent, stop in *. rewrite firstn_length. lia. Qed.

(* Every prefix of a node's path lies on some edge. *)
Lemma edge_prefix_closed ns n q : well_formed ns -> In n ns -> prefix q (n_path n) -> q <> [] -> edge_of ns q.
Proof.
  intros W. remember (stop n) as k eqn:Hk. revert n Hk. induction k as [k IH] using lt_wf_ind. intros n -> Hn Pq Nq.
  destruct (Nat.lt_ge_cases (start n) (length q)) as [L|L]; [exists n; split; [|split]; auto|].
  pose proof (wf_shape ns W n Hn) as S. destruct (wf_parent ns W n Hn) as [Z|I].
  - destruct q; [congruence|cbn in L; lia].
  - apply in_paths in I. destruct I as (m & Hm & Em).
    assert (Lm : stop m = start n) by (unfold stop; rewrite Em; apply parent_length; auto).
    destruct S as (S & _). apply (IH (stop m)) with (n := m); auto; [lia|]. rewrite Em. unfold parent.
    apply prefix_of_firstn; auto.
Qed.
Lemma edge_of_prefix ns q r : well_formed ns -> edge_of ns q -> prefix r q -> r <> [] -> edge_of ns r.
Proof. intros W (n & Hn & Pq & _) Hr Nr. eapply edge_prefix_closed; eauto using prefix_trans. Qed.

(* No node ends strictly inside another's edge. *)
Lemma no_end_inside ns m n : well_formed ns -> In m ns -> In n ns -> prefix (n_path m) (n_path n) -> m <> n ->
  stop m <= start n.
Proof.
  intros W Hm Hn Pm N. destruct (Nat.le_gt_cases (stop m) (start n)) as [L|L]; auto. exfalso. apply N.
  apply (wf_disjoint ns W m n (n_path m)); auto; [apply on_own_edge, (wf_shape ns W m Hm)|split; auto].
Qed.

(* ---- node sets *)
Lemma find_node_some s ns n : find_node s ns = Some n -> In n ns /\ n_path n = s.
Proof. intros H. apply find_some in H. rewrite same_path_spec in H. exact H. Qed.
Lemma find_node_none s ns : find_node s ns = None -> ~ In s (paths ns).
Proof.
  intros H I. apply in_paths in I. destruct I as (n & Hn & <-). eapply find_none in H; eauto. cbn in H.
  apply same_path_false in H. congruence.
Qed.
Lemma find_node_in ns n : well_formed ns -> In n ns -> find_node (n_path n) ns = Some n.
Proof.
  intros W Hn. destruct (find_node (n_path n) ns) as [m|] eqn:E.
  - apply find_node_some in E. f_equal. eapply same_node; eauto; tauto.
  - apply find_node_none in E. exfalso. apply E, in_paths. eauto.
Qed.
Lemma in_without s ns n : In n (without s ns) <-> In n ns /\ n_path n <> s.
Proof. unfold without. rewrite filter_In, negb_true_iff, same_path_false. tauto. Qed.
Lemma in_children s ns n : In n (children s ns) <-> In n ns /\ start n = length s /\ prefix s (n_path n).
Proof. unfold children. rewrite filter_In, andb_true_iff, Nat.eqb_eq, is_prefix_spec. tauto. Qed.

Lemma paths_app a b : paths (a ++ b) = paths a ++ paths b.
Proof. apply map_app. Qed.
Lemma nodup_filter (f : node -> bool) ns : NoDup (paths ns) -> NoDup (paths (filter f ns)).
Proof.
  induction ns as [|n ns IH]; cbn; auto. intros D. inversion D as [|? ? N D']; subst. destruct (f n); auto.
  cbn. constructor; auto. intros I. apply N. apply in_paths in I. destruct I as (m & Hm & <-).
  apply filter_In in Hm. apply in_paths. exists m. tauto.
Qed.
Lemma nodup_app (a b : list path) : NoDup a -> NoDup b -> (forall x, In x a -> ~ In x b) -> NoDup (a ++ b).
Proof.
  induction 1 as [|x a N D IH]; cbn; auto. intros Db H. constructor.
  - rewrite in_app_iff. intros [I|I]; [auto|]. eapply H; eauto.
  - apply IH; auto.
Qed.

(* Every change of the structure puts nodes `new` in the place of the nodes `old`. It leaves a trie if the new edges
   are old ones or were not there before, and every node keeps a parent. *)
Lemma replace_well_formed ns old new f :
  well_formed ns ->
  incl old ns -> (forall x, In x ns -> (f x = true <-> ~ In x old)) ->
  (forall q, edge_of new q -> edge_of old q \/ ~ edge_of ns q) ->
  (forall m n q, In m new -> In n new -> on_edge m q -> on_edge n q -> m = n) ->
  NoDup (paths new) ->
  (forall n, In n new -> shape_ok n) ->
  (forall n, In n new -> start n = 0 \/ In (parent n) (paths (new ++ filter f ns))) ->
  (forall n, In n ns -> ~ In n old -> start n = 0 \/ In (parent n) (paths (new ++ filter f ns))) ->
  well_formed (new ++ filter f ns).
Proof.
  intros W Inc Hf A B C D E F.
  assert (Rest : forall x, In x (filter f ns) <-> In x ns /\ ~ In x old).
  { intros x. rewrite filter_In. split; intros (H1 & H2); split; auto; apply (Hf x H1); auto. }
  assert (Apart : forall m n q, In m new -> In n ns -> ~ In n old -> on_edge m q -> on_edge n q -> False).
  { intros m n q Hm Hn No Em En. destruct (A q) as [(o & Ho & Eo)|N]; [exists m; auto| |].
    - apply No. rewrite (wf_disjoint ns W n o q); auto.
    - apply N. exists n. auto. }
  constructor.
  - intros n I. apply in_app_iff in I. destruct I as [I|I]; auto. apply Rest in I. apply (wf_shape ns W). tauto.
  - intros m n q Hm Hn Em En. apply in_app_iff in Hm, Hn. rewrite Rest in Hm, Hn.
    destruct Hm as [Hm|(Hm & No)], Hn as [Hn|(Hn & No')].
    + eauto.
    + exfalso. eauto.
    + exfalso. eauto.
    + eapply (wf_disjoint ns W); eauto.
  - intros n I. apply in_app_iff in I. destruct I as [I|I]; auto. apply Rest in I. apply F; tauto.
  - rewrite paths_app. apply nodup_app; auto.
    + apply nodup_filter, (wf_nodup ns W).
    + intros s I1 I2. apply in_paths in I1, I2. destruct I1 as (m & Hm & Em), I2 as (n & Hn & En).
      apply Rest in Hn. destruct Hn as (Hn & No). apply (Apart m n s); auto.
      * rewrite <- Em. apply on_own_edge; auto.
      * rewrite <- En. apply on_own_edge, (wf_shape ns W n Hn).
Qed.

Lemma edge_of_app a b q : edge_of (a ++ b) q <-> edge_of a q \/ edge_of b q.
Proof. unfold edge_of. setoid_rewrite in_app_iff. firstorder. Qed.
Lemma edge_of_rest ns old f q : well_formed ns -> incl old ns -> (forall x, In x ns -> (f x = true <-> ~ In x old)) ->
  (edge_of (filter f ns) q <-> edge_of ns q /\ ~ edge_of old q).
Proof.
  intros W Inc Hf. split.
  - intros (n & Hn & En). apply filter_In in Hn. destruct Hn as (Hn & Fn). split; [exists n; auto|].
    intros (o & Ho & Eo). apply (Hf n Hn) in Fn. apply Fn. rewrite (wf_disjoint ns W n o q); auto.
  - intros ((n & Hn & En) & No). exists n. split; auto. apply filter_In. split; auto. apply (Hf n Hn).
    intros I. apply No. exists n. auto.
Qed.
Lemma edge_of_old ns old q : incl old ns -> edge_of old q -> edge_of ns q.
Proof. intros Inc (n & Hn & En). exists n. auto. Qed.

(* ---- sums over nodes *)
Lemma sum_app f a b : sum f (a ++ b) = sum f a + sum f b.
Proof. unfold sum. induction a; cbn; auto. rewrite IHa. lia. Qed.
Lemma sum_cons f n ns : sum f (n :: ns) = f n + sum f ns.
Proof. reflexivity. Qed.
Lemma sum_without f ns n : NoDup (paths ns) -> In n ns -> sum f ns = f n + sum f (without (n_path n) ns).
Proof.
  induction ns as [|m ns IH]; cbn [In]; [tauto|]. intros D I. inversion D as [|? ? N D']; subst.
  unfold without in *. cbn [filter]. destruct I as [->|I].
  - assert (same_path (n_path n) (n_path n) = true) as -> by (apply same_path_spec; auto). cbn [negb].
    rewrite sum_cons. f_equal. f_equal. symmetry. apply filter_all.
    intros m Hm. rewrite negb_true_iff, same_path_false. intros E. apply N, in_paths. exists m. auto.
  - assert (same_path (n_path m) (n_path n) = false) as ->.
    { rewrite same_path_false. intros E. apply N, in_paths. exists n. auto. }
    cbn [negb]. rewrite !sum_cons, (IH D' I). lia.
Qed.
Lemma sum_map f g ns : (forall n, In n ns -> f (g n) = f n) -> sum f (map g ns) = sum f ns.
Proof. unfold sum. induction ns as [|n ns IH]; cbn; intros H; [reflexivity|]. rewrite H, IH; auto. Qed.
End Nodes.
